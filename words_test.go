// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// blockWords is one block of the grammar: the parser's own table and the structure that
// it fills.
type blockWords struct {
	variable  string // the name of the table in the source
	repeats   map[string]bool
	structure reflect.Type
	// arguments are the JSON members that hold arguments of the block's own word.
	arguments []string
}

// grammar is every block, by the word that opens it; "" is the directive.
func grammar() map[string]blockWords {
	return map[string]blockWords{
		"":                 blockOf("handlerWords", handlerWords),
		"resource":         blockOf("resourceWords", resourceWords, "url"),
		"resource.forward": blockOf("forwardWords", forwardWords),
		"scope":            blockOf("scopeWords", scopeWords, "name"),
		"allow":            blockOf("allowWords", allowWords),
		"client":           blockOf("clientWords", clientWords, "id"),
		"registration":     blockOf("registrationWords", registrationWords, "off"),
		"login":            blockOf("loginWords", loginWords),
		"tokens":           blockOf("tokensWords", tokensWords),
		"streams":          blockOf("streamsWords", streamsWords),
	}
}

func blockOf[T any](variable string, ws words[T], arguments ...string) blockWords {
	b := blockWords{variable: variable, repeats: make(map[string]bool), structure: reflect.TypeFor[T](), arguments: arguments}
	for name, w := range ws {
		b.repeats[name] = w.repeats
	}
	return b
}

// eachWord calls fn with the full name of each word, such as resource.scopes.
func eachWord(fn func(full string, repeats bool)) {
	for block, b := range grammar() {
		for _, name := range slices.Sorted(maps.Keys(b.repeats)) {
			full := name
			if block != "" {
				full = block + "." + name
			}
			fn(full, b.repeats[name])
		}
	}
}

// nobodysWord is a word that no block has.
const nobodysWord = "nobodys_word"

var (
	wordsHere = regexp.MustCompile(`unrecognized subdirective "` + nobodysWord + `" in ([^"]+): the words here are ([^:]+), at Caddyfile:`)
	isTwice   = regexp.MustCompile(`: (\S+) is written twice in `)
)

// eachGuestWord calls fn with the full name of each provider and store of this build and
// of each word in its block, such as provider.oidc.claims.subject. The words are asked of
// the parser itself, which lists them where it refuses one.
func eachGuestWord(t *testing.T, fn func(full string, repeats bool)) {
	t.Helper()
	for _, word := range []string{"provider", "store"} {
		modules := caddy.GetModules("http.mcp_oauth." + word + "s")
		if len(modules) == 0 {
			t.Fatalf("this build has no %s", word)
		}
		for _, module := range modules {
			path := []string{word, module.ID.Name()}
			fn(strings.Join(path, "."), false)
			eachWordOfGuest(t, path, fn)
		}
	}
}

// eachWordOfGuest calls fn with the words of the block at path, and of those within it.
func eachWordOfGuest(t *testing.T, path []string, fn func(full string, repeats bool)) {
	t.Helper()
	found := wordsHere.FindStringSubmatch(guestRefusal(t, path, nobodysWord))
	if found == nil || found[1] != strings.Join(path[:2], " ")+strings.Join(append([]string{""}, path[2:]...), ": ") {
		return // what is here has no block
	}
	for _, name := range strings.Split(found[2], ", ") {
		inner := append(slices.Clone(path), name)
		fn(strings.Join(inner, "."), repeats(t, path, name))
		eachWordOfGuest(t, inner, fn)
	}
}

// repeats tells whether the parser takes a word of a guest twice, in whichever of these
// ways the word is written.
func repeats(t *testing.T, path []string, name string) bool {
	t.Helper()
	for _, rest := range []string{"", " {env.X}", " {env.X} {env.X}", " file ca.pem", " {\n}"} {
		twice := isTwice.FindStringSubmatch(guestRefusal(t, path, name+rest+"\n"+name+rest))
		if twice != nil && twice[1] == name {
			return false
		}
	}
	return true
}

// guestRefusal returns how the parser refuses lines in the block at path, such as
// provider, oidc, claims.
func guestRefusal(t *testing.T, path []string, lines string) string {
	t.Helper()
	open := strings.Join(path[:2], " ") + " {\n" + strings.Join(append(slices.Clone(path[2:]), ""), " {\n")
	text := "mcp.example.com {\nmcp_oauth {\n" + open + lines + strings.Repeat("\n}", len(path)-1) + "\n}\n}\n"
	_, err := adapt(t, []byte(text))
	if err == nil {
		t.Fatalf("accepted without a resource:\n%s", text)
	}
	return err.Error()
}

// cannotContradict says for which words no other word can be wrong together with them.
var cannotContradict = map[string]string{
	"provider":                 "it is the only word about who signs people in, and every other word works with each provider",
	"store":                    "every other word works with each store",
	"login":                    "it holds texts alone",
	"resource.name":            "a text for people",
	"resource.scopes":          "a scope that a resource needs does not have to be declared",
	"resource.allowed_origins": "it only adds to who may call",
	"resource.audience":        "servers that trust each other may share one",
	"resource.forward":         "it only adds to what the server gets",
	"streams":                  "it holds bounds that are independent of each other",
	"streams.max_age":          "a stream never outlives its sign-in, whatever is written",
	"streams.until":            "an age that is reached before ends a stream before",
	"streams.per_session":      "any number goes with any age",
	"scope.description":        "a text for people",
	"allow.user":               "rules only narrow each other",
	"allow.role":               "rules only narrow each other",
	"allow.domain":             "rules only narrow each other",
	"client.name":              "a text for people",
	"client.secret":            "a client may have any number of secrets, also none",
	"client.redirect_uri":      "redirect_hosts binds those who register themselves, not clients of the configuration",
	"login.title":              "a text for people",
	"login.support":            "a text for people",
	"tokens.access":            "an access token that would outlive its sign-in ends with it",
	"tokens.refresh_grace":     "the answer that it repeats ends with its sign-in, whatever is written",
	"tokens.code":              "a code has ended before anything else begins",
	"tokens.backend_jwt":       "a JWT never outlives its access token, whatever is written",
	"tokens.backend_jwt_alg":   "every other word works with each algorithm",
	"tokens.guard_cache":       "a remembered yes ends with its access token, whatever is written",
	"tokens.provider_outage":   "it adds to access and is bounded by refresh, whatever is written",

	"provider.entra":               "see provider",
	"provider.entra.authority":     "a tenant may be in any cloud",
	"provider.entra.client_id":     "Microsoft alone knows which applications a tenant has",
	"provider.entra.client_secret": "Microsoft alone knows whose secret it is",
	"provider.entra.prompt":        "it goes with every other word",
	"provider.entra.tenant":        "a tenant may be in any cloud",

	"provider.oidc":                "see provider",
	"provider.oidc.claims":         "one claim may serve several purposes",
	"provider.oidc.claims.email":   "one claim may serve several purposes",
	"provider.oidc.claims.groups":  "one claim may serve several purposes",
	"provider.oidc.claims.name":    "one claim may serve several purposes",
	"provider.oidc.claims.roles":   "one claim may serve several purposes",
	"provider.oidc.claims.subject": "one claim may serve several purposes",
	"provider.oidc.client_id":      "the provider alone knows its applications",
	"provider.oidc.client_secret":  "the provider alone knows whose secret it is",
	"provider.oidc.discovery_url":  "whose document is there is known when it is read, and it must state the issuer",
	"provider.oidc.issuer":         "what is at discovery_url is known when it is read",
	"provider.oidc.prompt":         "it goes with every other word",
	"provider.oidc.scopes":         "a list without openid is wrong by itself",
	"provider.oidc.verify_account": "only the provider's answer shows whether it can be asked again",

	"store.file":               "see store",
	"store.memory":             "see store",
	"store.memory.max_records": "it is alone in its block",
	"store.redis.prefix":       "every server, group and cluster has keys",
}

// cannotMiss says which words are complete without a value.
var cannotMiss = map[string]string{
	"store.file":   "the path has a default",
	"store.memory": "all of its block has defaults",

	"store.redis.cluster": "it is written without a value",
	"store.redis.tls":     "it is written without a value",
}

// TestEveryWordHasGoldens holds every word of the parser to a golden file of each kind,
// so that a new word cannot come without saying how it fails.
func TestEveryWordHasGoldens(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	check := func(full string, repeats bool) {
		known[full] = true
		for _, kind := range []string{"missing", "extra", "duplicate", "unknown", "type", "contradiction"} {
			result, found := goldenResult(t, full+"."+kind)
			switch {
			case kind == "contradiction" && cannotContradict[full] != "", kind == "missing" && cannotMiss[full] != "":
				if found {
					t.Errorf("%s has a golden for %s and a reason why it can have none", full, kind)
				}
				continue
			case !found:
				t.Errorf("%s has no golden for: %s", full, kind)
				continue
			}
			accepted := strings.HasPrefix(result, "{")
			if want := kind == "duplicate" && repeats; accepted != want {
				t.Errorf("%s, %s: accepted is %v, want %v", full, kind, accepted, want)
			}
		}
	}
	eachWord(check)
	eachGuestWord(t, check)
	for _, reasons := range []map[string]string{cannotContradict, cannotMiss} {
		for full := range reasons {
			if !known[full] {
				t.Errorf("there is no word %s", full)
			}
		}
	}
}

// TestEveryGoldenIsOfAWord finds golden files that say they are about a guest's word
// which is not there, or no longer.
func TestEveryGoldenIsOfAWord(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	eachGuestWord(t, func(full string, _ bool) { known[full] = true })
	for _, pattern := range []string{"provider.*.*.*", "store.*.*.*"} {
		files, err := filepath.Glob(filepath.Join("testdata", "*", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no golden files %s: %v", pattern, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), goldenSuffix)
			if word := name[:strings.LastIndexByte(name, '.')]; !known[word] {
				t.Errorf("%s is about %s, which is no word", file, word)
			}
		}
	}
}

// goldenResult returns what a golden file expects; the parser's comes first.
func goldenResult(t *testing.T, name string) (string, bool) {
	t.Helper()
	for _, folder := range []string{"adapt", "validate"} {
		raw, err := os.ReadFile(filepath.Join("testdata", folder, name+goldenSuffix))
		if err != nil {
			continue
		}
		_, result, _ := strings.Cut(string(raw), goldenDashes)
		if strings.TrimSpace(result) == "" || strings.TrimSpace(result) == "valid" {
			t.Errorf("%s/%s expects nothing", folder, name)
		}
		return result, true
	}
	return "", false
}

// TestGrammarIsComplete finds tables of words in the source that grammar forgets.
func TestGrammarIsComplete(t *testing.T) {
	t.Parallel()
	var inSource, inTest []string
	for _, file := range parseSource(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && strings.HasSuffix(v.Names[0].Name, "Words") {
				inSource = append(inSource, v.Names[0].Name)
			}
			return true
		})
	}
	for _, b := range grammar() {
		inTest = append(inTest, b.variable)
	}
	slices.Sort(inSource)
	slices.Sort(inTest)
	if !slices.Equal(inSource, inTest) {
		t.Errorf("tables in the source: %v\nin the test: %v", inSource, inTest)
	}
}

// TestSyntaxIsDocumented holds the syntax in the comment of the parser to its tables.
func TestSyntaxIsDocumented(t *testing.T) {
	t.Parallel()
	var comment string
	for _, file := range parseSource(t) {
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.Name == "parseCaddyfile" {
				comment = fn.Doc.Text()
			}
		}
	}
	eachWord(func(full string, _ bool) {
		depth := 2 + strings.Count(full, ".")
		word := full[strings.LastIndexByte(full, '.')+1:]
		line := regexp.MustCompile(`(?m)^\t{` + string(rune('0'+depth)) + `}` + word + ` `)
		if !line.MatchString(comment) {
			t.Errorf("the syntax comment has no %s", full)
		}
	})
}

// TestEveryWordIsOneDocumentedField holds the JSON to the words: each word is one field
// of that name with a comment above it, and no field is without a word.
func TestEveryWordIsOneDocumentedField(t *testing.T) {
	t.Parallel()
	docs := fieldDocs(t)
	for _, part := range []string{"Rate.Events", "Rate.Window", "ForwardHeader.Name", "ForwardHeader.Claim"} {
		if docs[part] == "" {
			t.Errorf("%s has no comment above it", part)
		}
	}
	for block, b := range grammar() {
		var fields []string
		for field := range b.structure.Fields() {
			tag := field.Tag.Get("json")
			if !field.IsExported() || tag == "" {
				continue
			}
			member, _, _ := strings.Cut(tag, ",")
			fields = append(fields, member)
			if docs[b.structure.Name()+"."+field.Name] == "" {
				t.Errorf("%s.%s has no comment above it", b.structure.Name(), field.Name)
			}
		}
		want := slices.Concat(slices.Collect(maps.Keys(b.repeats)), b.arguments)
		slices.Sort(fields)
		slices.Sort(want)
		if !slices.Equal(fields, want) {
			t.Errorf("block %q: JSON members %v, words %v", block, fields, want)
		}
	}
}

// fieldDocs returns the comments above the fields of all structures.
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := make(map[string]string)
	for _, file := range parseSource(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if structure, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range structure.Fields.List {
					for _, name := range field.Names {
						docs[spec.Name.Name+"."+name.Name] = field.Doc.Text()
					}
				}
			}
			return true
		})
	}
	return docs
}

// parseSource parses the package without its tests.
func parseSource(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
