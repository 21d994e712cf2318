// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func post(contentType, target, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestParseForm(t *testing.T) {
	t.Parallel()
	for _, ct := range []string{
		"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8", "application/x-www-form-urlencoded;charset=UTF-8",
		"Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded;",
	} {
		got, err := ParseForm(post(ct, "/token", "code=a%2Bb+c&resource=x&resource=y&empty="), 100, "resource")
		want := url.Values{"code": {"a+b c"}, "resource": {"x", "y"}, "empty": {""}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", ct, got, err)
		}
	}
}

func refuseForm(t *testing.T, r *http.Request, status int) {
	t.Helper()
	v, err := ParseForm(r, 1000, "resource")
	if e := AsError(err); e == nil || e.Code != InvalidRequest || e.Status != status || v != nil {
		t.Errorf("%s %q = %v, %v; want invalid_request %d", r.URL, r.Header, v, err, status)
	}
}

func TestSec_C13_NoSecretsInTheURL(t *testing.T) {
	t.Parallel()
	refuseForm(t, post(FormType, "/token?code=a", "grant_type=authorization_code"), 400)
	refuseForm(t, post(FormType, "/token?x", ""), 400)
}

func TestSec_C14_ContentType(t *testing.T) {
	t.Parallel()
	for _, ct := range []string{
		"", "application/json", "multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded-x", "x", "application/x-www-form-urlencoded, text/plain",
	} {
		refuseForm(t, post(ct, "/token", "code=a"), 400)
	}
	two := post(FormType, "/token", "code=a")
	two.Header.Add("Content-Type", "application/json")
	refuseForm(t, two, 400)
	gz := post(FormType, "/token", "code=a")
	gz.Header.Set("Content-Encoding", "gzip")
	refuseForm(t, gz, 400)
}

func TestSec_C15_Encoding(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"code=%00", "a%00b=c", "code=%ff", "code=\xff", "code=%c3%28", "code=%zz", "code=%", "a=1;b=2", "code=a&code=a", "code=a&code=",
		"scope=a&scope=b", strings.Repeat("a&", 40), strings.Repeat("&", 40),
	} {
		refuseForm(t, post(FormType, "/token", body), 400)
	}
	refuseForm(t, post(FormType, "/token", strings.Repeat("a", 1001)), 413)
	r := post(FormType, "/token", strings.Repeat("a", 900))
	r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, 10)
	refuseForm(t, r, 413)
	r = httptest.NewRequest(http.MethodPost, "/token", iotest.ErrReader(errors.New("connection reset")))
	r.Header.Set("Content-Type", FormType)
	refuseForm(t, r, 400)
	if _, err := ParseForm(post(FormType, "/token", strings.Repeat("a", 1000)), 1000); err != nil {
		t.Errorf("a body of the full length: %v", err)
	}
}

// FuzzTokenForm: what is accepted is what net/http would have read, without repeats.
func FuzzTokenForm(f *testing.F) {
	f.Add("grant_type=authorization_code&code=x&resource=a&resource=b")
	f.Add("a=%00&b=%ff;c")
	f.Add("&&a&=b")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := ParseForm(post(FormType, "/token", body), 16<<10, "resource")
		if err != nil {
			if e := AsError(err); e == nil || e.Code != InvalidRequest {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		r := post(FormType, "/token", body)
		if err := r.ParseForm(); err != nil || !reflect.DeepEqual(r.PostForm, got) {
			t.Fatalf("%q: %v, net/http reads %v, %v", body, got, r.PostForm, err)
		}
		for name, vs := range got {
			if len(vs) > 1 && name != "resource" || !utf8.ValidString(name+strings.Join(vs, "")) || strings.Contains(name+strings.Join(vs, ""), "\x00") {
				t.Fatalf("%q: accepted %v", body, got)
			}
		}
	})
}
