// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"html/template"
	"net/http"
)

var choiceTemplate = template.Must(template.New("choice").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pick an account</title>
<style>body{font:1rem system-ui;max-width:24rem;margin:4rem auto;padding:0 1rem}button{display:block;width:100%;margin:.5rem 0;padding:.75rem;text-align:left;font:inherit}</style>
<h1>Pick an account</h1>
<p>This is an emulator of Microsoft Entra ID. No password is needed.</p>
<form method="post" action="{{.Action}}">
<input type="hidden" name="request" value="{{.Request}}">
{{range .Users}}<button name="user" value="{{.Username}}">{{.Name}}<br><small>{{.Username}}</small></button>
{{end}}<button name="decline" value="1">Cancel</button>
</form>
`))

var errorTemplate = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign in</title>
<h1>Sorry, but we’re having trouble signing you in.</h1>
<p>{{.}}</p>
`))

func (e *Emulator) choicePage(w http.ResponseWriter, tenant, request string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = choiceTemplate.Execute(w, map[string]any{"Action": "/" + tenant + "/login", "Request": request, "Users": e.list()})
}

// errorPage shows an error that is not told to the client.
func (e *Emulator) errorPage(w http.ResponseWriter, status int, no *refusal) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = errorTemplate.Execute(w, e.describe(no))
}

// serveChoice takes the form of the page.
func (e *Emulator) serveChoice(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	id := r.PostForm.Get("request")
	e.pendingMu.Lock()
	q, ok := e.pending[id]
	delete(e.pending, id)
	e.pendingMu.Unlock()
	if !ok {
		e.errorPage(w, http.StatusBadRequest, &refusal{"invalid_request", 90013, "The sign-in page was used before. Start again at the application."})
		return
	}
	if r.PostForm.Has("decline") {
		e.sendBack(w, r, q, &refusal{"access_denied", 65004, "The user has declined to consent to access the app."})
		return
	}
	e.signIn(w, r, q, r.PostForm.Get("user"))
}
