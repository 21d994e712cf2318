// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"encoding/base64"
	"net/http"
)

// spice is something that a request may have beside what it needs.
type spice struct {
	fields []field
	// harmless tells that an honest request with it still gets through: always, or over
	// HTTP/1.1 alone (the header belongs to the connection, which other protocols refuse).
	harmless, tcp bool
}

func line(name, value string) []field { return []field{{name, value}} }

// cookies and identities are taken out, whatever way they are written.
var cookies = []string{
	"__Host-mcpo_f_0a1b2c3d_0011=x", "a=b; __Host-mcpo_b_0a1b2c3d_0011={valid}", "mcpo_dev_f_1=x; a=b", "__HOST-MCPO_b_1=x", "a=b;mcpo_dev_b_1={refresh}", "=__Host-mcpo_f_1=x",
	"\t__Host-mcpo_f_1=x", "a=b; ; __host-mcpo_f_1=x;", "mcpo_dev_", "__Host-mcpo_", "a=\"; __Host-mcpo_b_1=x; \"", "== mcpo_dev_f_1=x", "Mcpo_Dev_f_1 = x", "a=b", "theirs=1; more=2",
}

// identityNames are names that some software takes for a configured one.
var identityNames = []string{
	"X-User-Email", "x-user-email", "X_User_Email", "X.User.Email", "X-User_Email", "x_user-email", "X-USER_EMAIL", "X-User-Email-", "-X-User-Email", "_X_User_Email_", "X.User_Email",
	"X-User-Name", "X_User_Name", "x.user.name", "X!User!Name", "X~User-Name", "X-User|Name", "X'User'Email", "X-User-Email_", "X*User*Email", "X`User`Name", "X$User&Email", "X+User+Email",
}

// authorizationNames are the same for the one header that matters.
var authorizationNames = []string{"Authorization_", "_Authorization", "-Authorization", "Authorization-", "Authorization.", "Authorization~", "AUTHORIZATION_", "!Authorization"}

// connections name headers that the proxy would then take out (RFC 9110 §7.6.1).
var connections = []string{
	"Authorization", "keep-alive, Authorization", "authorization,X-User-Email", "close, Authorization", idHeader, "keep-alive," + idHeader, "X-User-Email, X-User-Name", "Connection",
	"AUTHORIZATION", "Authorization,,", ",Authorization", "\tAuthorization", "Upgrade, Authorization", "Host", "Content-Length", "Cookie", "Transfer-Encoding", "keep-alive", "TE",
}

var harmlessOrigins = []string{"{origin}", "https://friend.test", "http://localhost:6274", "http://127.0.0.1", "http://[::1]:80", "https://localhost"}

var foreignOrigins = []string{
	"https://evil.test", "null", "", "{origin}.evil.test", "https://evil.test {origin}", "{origin},https://evil.test", "https://friend.test.evil.test", "http://friend.test", "https://friend.test:1",
	"https://friend.test/", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "http://evil.test#localhost", "http://localhost@evil.test", "chrome-extension://evil", "file://", "https://FRIEND.test.",
	"http://127.0.0.2.evil.test", "https://open.test:{port}", "evil",
}

// harmless are the headers that an honest request may have.
func harmless() (all []spice) {
	for _, c := range cookies {
		all = append(all, spice{fields: line("Cookie", c), harmless: true})
	}
	for _, n := range identityNames {
		all = append(all, spice{fields: line(n, evil), harmless: true})
	}
	for _, n := range authorizationNames {
		all = append(all, spice{fields: line(n, "Bearer {valid}"), harmless: true}, spice{fields: line(n, "Bearer {other}"), harmless: true})
	}
	for _, o := range harmlessOrigins {
		all = append(all, spice{fields: line("Origin", o), harmless: true})
	}
	for _, c := range connections {
		all = append(all, spice{fields: line("Connection", c), tcp: true})
	}
	for _, f := range []field{
		{"Proxy-Authorization", "Bearer {valid}"}, {"Proxy", "http://evil.test"}, {"X-Forwarded-For", "127.0.0.1"}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-User", "admin"},
		{"X-Original-URL", "/oauth/jwks"}, {"X-Rewrite-URL", "/"}, {"X-HTTP-Method-Override", "OPTIONS"}, {"Forwarded", "for=127.0.0.1;host=evil.test"}, {"Accept", "text/event-stream"},
		{"Mcp-Session-Id", "1"}, {"MCP-Protocol-Version", "2025-06-18"}, {"Mcp-Method", "tools/call"}, {"User-Agent", "kube-probe/1.0"}, {"Early-Data-X", "1"}, {"X-Forwarded-Uri", "/public"},
		{"Priority", "u=1"}, {"Range", "bytes=0-1"}, {"Via", "1.1 x"}, {"Sec-Fetch-Site", "cross-site"}, {"Content-Type", "application/x-www-form-urlencoded"}, {"Last-Event-ID", "1"},
		{"X-Empty", ""}, {"X-Tab", "a\tb"}, {"X-High", "\xc3\xa9\xff"},
	} {
		all = append(all, spice{fields: []field{f}, harmless: true})
	}
	for _, f := range []field{
		{"Upgrade", "h2c"}, {"Keep-Alive", "timeout=5, max=Authorization"}, {"Proxy-Connection", "Authorization"}, {"TE", "trailers, Authorization"}, {"Upgrade", "H2C, websocket"},
	} {
		all = append(all, spice{fields: []field{f}, tcp: true})
	}
	h2c := []field{{"Connection", "Upgrade, HTTP2-Settings"}, {"Upgrade", "h2c"}, {"HTTP2-Settings", "AAMAAABkAAQAAP__"}}
	websocket := []field{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}}
	return append(all, spice{fields: h2c, tcp: true}, spice{fields: websocket, tcp: true})
}

// hostile are headers with which a request may be refused or not, but never more than
// the property allows.
func hostile() (all []spice) {
	for _, o := range foreignOrigins {
		all = append(all, spice{fields: line("Origin", o)})
		all = append(all, spice{fields: []field{{"Origin", o}, {"Access-Control-Request-Method", http.MethodPost}}})
	}
	for _, v := range []string{"1", "0", "1, 0", " 1", "true", ""} {
		all = append(all, spice{fields: line("Early-Data", v)})
	}
	for _, f := range []field{
		{"X-Forwarded-Host", "evil.test"}, {"X-Forwarded-Host", "open.test:{port}"}, {"X-Forwarded-Host", "{host}"}, {"X-Forwarded-Host", "{host}, evil.test"}, {"Host", "evil.test"}, {"Host", "{host}"},
		{"Content-Length", "5"}, {"Content-Length", "-1"}, {"Content-Length", "0, 5"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked, identity"}, {"Transfer-Encoding", "\x0bchunked"},
		{"Expect", "100-continue"}, {"Expect", "x"}, {"X-Null", "a\x00b"}, {"X-Split", "a\r\nX-User-Email: " + evil}, {"X-Split", "a\nX_User_Email: " + evil}, {"X User-Email", evil},
		{"X-User-Email ", evil}, {"X-User-Email\t", evil}, {" X-User-Email", evil}, {"X-User-Email\x00", evil}, {"X-Üser", evil}, {"", "x"}, {"X-Long", long}, {":path", "/"}, {":authority", "evil.test"},
		{"X-Ctl", "a\x01\x7f"}, {"Trailer", "Authorization"}, {"Trailer", "X-User-Email"}, {"Authorization\x00", "Bearer {valid}"}, {"Authorization ", "Bearer {valid}"}, {"Content-Encoding", "gzip"},
	} {
		all = append(all, spice{fields: []field{f}})
	}
	two := []field{{"Origin", "{origin}"}, {"Origin", "https://evil.test"}}
	preflight := []field{{"Origin", "{origin}"}, {"Access-Control-Request-Method", http.MethodPost}, {"Access-Control-Request-Headers", "authorization"}}
	early := []field{{"Early-Data", "0"}, {"Early-Data", "1"}}
	return append(all, spice{fields: two}, spice{fields: preflight}, spice{fields: early})
}

// authorizations are the forms of a credential; T stands for one of the kinds.
var authorizations = []string{
	"Bearer T", "bearer T", "BEARER T", "Bearer  T", "Bearer\tT", "Bearer T ", " Bearer T", "BearerT", "T", "Token T", "DPoP T", "Bearer T, Bearer x", "Bearer x, Bearer T", "Bearer T,T", `Bearer "T"`,
	"Bearer T=", "Bearer T==", "Bearer T.x", "Bearer T T", "Bearer x T", "Bearer:T", "Bearer=T", "Bearer token=T", "Bearer T\x00", "Bearer T;x", "Bearer%20T", "Bearer T\x0b", "Bearer", "Bearer ", "",
	"Bearer \xc2\xa0T", "Basic T", "Basic QmVhcmVyOng=", "Bearer T\r\n x", "Bearer\r\n T", "Negotiate T", "Bearer <T>", "B\xc3\xa9arer T", "Bear\xc5\x9fer T",
}

// queries are what may follow a question mark. The first ones are fine.
var queries = []string{
	"x=1", "x", "a=b&c=d", "=", "&&", "%41=%42", "access=token", "a=access_token", "x=" + long[:500], "", "?", "a=%00",
	"access_token=T", "access_token", "access_token=", "x=1&access_token=T", "access%5ftoken=T", "%61ccess_token=T", "a=1;access_token=T", ";access_token=T", "a=%zz", "a=%", "%zz", "a;b", "access_token=T&x=%zz",
	"Access_Token=T", "ACCESS_TOKEN=T", "access_token=T;",
}

const harmlessQueries = 9

var long = base64.RawURLEncoding.EncodeToString(make([]byte, 6000))
