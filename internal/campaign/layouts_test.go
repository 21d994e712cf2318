// SPDX-License-Identifier: Apache-2.0

package campaign

// layout is a way to write a site around mcp_oauth, and the resource that its backend
// stands for. In text and address, OAUTH is the block, BACKEND the backend, PORT, PLAIN
// and ROOT the ports, DIR an empty directory, and ABSENT an address where nobody listens.
type layout struct {
	name string
	// issuer is the block that the site has: "shared", "lone", "root" or "plain".
	issuer string
	// host is that of the resource, path its path.
	host, path string
	// address is the site's, default https://host:PORT. A layout without text belongs to
	// the site of another one.
	address, text string
	// open tells that the backend also serves what is nobody's resource.
	open bool
	// ways are the paths that lead to the backend; default the resource's, with what may
	// follow it.
	ways []string
}

// layouts are the sites. All of the shared issuer import the same block, as people do
// who run one authorization server for all of their servers.
var layouts = []layout{
	{name: "proxy", text: "OAUTH reverse_proxy /mcp* BACKEND"},
	{name: "handle", text: "OAUTH handle /mcp* {\nreverse_proxy BACKEND\n}\nhandle {\nrespond next\n}"},
	{name: "handlepath", text: "OAUTH handle_path /mcp* {\nreverse_proxy BACKEND\n}"},
	{name: "route", text: "route /mcp* {\nOAUTH reverse_proxy BACKEND\n}"},
	{name: "rewrite", text: "OAUTH rewrite /api* /mcp\nreverse_proxy /mcp* BACKEND", ways: []string{"/mcp", "/mcp/x", "/api", "/api/x"}},
	{name: "inner", text: "OAUTH handle /mcp* {\nrewrite * /inner{uri}\nreverse_proxy BACKEND\n}"},
	{name: "moved", open: true, text: "rewrite /mcp* /inner{uri}\nOAUTH reverse_proxy /inner* BACKEND"},
	{name: "stripped", text: "handle_path /v1* {\nOAUTH reverse_proxy /mcp* BACKEND\n}\nOAUTH handle {\nrespond next\n}", ways: []string{"/v1/mcp", "/v1/mcp/x"}},
	{name: "uri", text: "uri strip_prefix /v2\nuri replace /docs /mcp\nOAUTH reverse_proxy /mcp* BACKEND", ways: []string{"/mcp", "/v2/mcp", "/docs/x"}},
	{name: "tryfiles", text: "root * DIR\ntry_files {path} /mcp/index\nOAUTH reverse_proxy /mcp* BACKEND", ways: []string{"/mcp", "/nothing", "/a/b"}},
	{name: "invoke", text: "OAUTH handle /mcp* {\ninvoke app\n}"},
	{name: "subrewrite", text: "OAUTH reverse_proxy /mcp* BACKEND {\nrewrite /sub{uri}\n}"},
	{name: "errors", text: "OAUTH reverse_proxy /mcp* ABSENT\nhandle_errors {\nreverse_proxy BACKEND\n}"},
	{name: "careful", text: "OAUTH reverse_proxy /mcp* ABSENT\nhandle_errors {\n@mcp vars mcp_oauth.resource https://careful.test:PORT/mcp\nreverse_proxy @mcp BACKEND\n}"},
	{name: "encode", text: "encode zstd gzip\nOAUTH reverse_proxy /mcp* BACKEND"},
	{name: "multi", address: "https://multi.test:PORT, https://second.test:PORT", text: "OAUTH reverse_proxy /mcp* BACKEND"},
	{name: "wild", host: "a.wild.test", address: "https://*.wild.test:PORT", text: "OAUTH reverse_proxy /mcp* BACKEND"},
	{name: "any", issuer: "lone", address: "https://:PORT", text: "OAUTH reverse_proxy /mcp* BACKEND"},
	{name: "two", text: "OAUTH reverse_proxy /mcp/admin* BACKEND_admin\nreverse_proxy /mcp* BACKEND"},
	{name: "admin", host: "two.test", path: "/mcp/admin"},
	{name: "pair", path: "/one", text: "uri strip_prefix /p\nOAUTH reverse_proxy /one* BACKEND\nreverse_proxy /two* BACKEND_pairtwo", ways: []string{"/one", "/p/one", "/p/one/x"}},
	{name: "pairtwo", host: "pair.test", path: "/two", ways: []string{"/two", "/p/two"}},
	{name: "open", path: "/tasks", open: true, text: "OAUTH reverse_proxy BACKEND"},
	{name: "vars", text: "OAUTH @mcp vars mcp_oauth.resource https://vars.test:PORT/mcp\nreverse_proxy @mcp BACKEND"},
	{name: "root", issuer: "root", path: "/", address: "https://:ROOT", text: "OAUTH reverse_proxy BACKEND"},
	{name: "plain", issuer: "plain", host: "127.0.0.1", path: "/mcp", address: "http://:PLAIN", open: true, text: "OAUTH reverse_proxy BACKEND"},
	{name: "gone", text: "OAUTH reverse_proxy /mcp* ABSENT"},
}
