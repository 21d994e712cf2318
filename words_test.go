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
		"":             blockOf("handlerWords", handlerWords),
		"resource":     blockOf("resourceWords", resourceWords, "url"),
		"scope":        blockOf("scopeWords", scopeWords, "name"),
		"allow":        blockOf("allowWords", allowWords),
		"client":       blockOf("clientWords", clientWords, "id"),
		"registration": blockOf("registrationWords", registrationWords, "off"),
		"login":        blockOf("loginWords", loginWords),
		"tokens":       blockOf("tokensWords", tokensWords),
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

// cannotContradict says for which words no other word can be wrong together with them.
var cannotContradict = map[string]string{
	"provider":                 "it is the only word about who signs people in, and every other word works with each provider",
	"store":                    "every other word works with each store",
	"login":                    "it holds texts alone",
	"resource.name":            "a text for people",
	"resource.scopes":          "a scope that a resource needs does not have to be declared",
	"resource.allowed_origins": "it only adds to who may call",
	"scope.description":        "a text for people",
	"allow.user":               "rules only narrow each other",
	"allow.role":               "rules only narrow each other",
	"allow.domain":             "rules only narrow each other",
	"client.name":              "a text for people",
	"client.secret":            "a client may have any number of secrets, also none",
	"client.redirect_uri":      "redirect_hosts binds those who register themselves, not clients of the configuration",
	"login.title":              "a text for people",
	"login.support":            "a text for people",
	"tokens.refresh_grace":     "its bound is below that of every life that it could exceed",
	"tokens.code":              "a code has ended before anything else begins",
	"tokens.backend_jwt":       "a JWT never outlives its access token, whatever is written",
	"tokens.guard_cache":       "its bound is below that of access",
	"tokens.provider_outage":   "it adds to access and is bounded by refresh, whatever is written",
}

// TestEveryWordHasGoldens holds every word of the parser to a golden file of each kind,
// so that a new word cannot come without saying how it fails.
func TestEveryWordHasGoldens(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	eachWord(func(full string, repeats bool) {
		known[full] = true
		for _, kind := range []string{"missing", "extra", "duplicate", "unknown", "type", "contradiction"} {
			result, found := goldenResult(t, full+"."+kind)
			reason := cannotContradict[full]
			switch {
			case kind == "contradiction" && reason != "":
				if found {
					t.Errorf("%s has a golden contradiction and a reason why it can have none", full)
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
	})
	for full := range cannotContradict {
		if !known[full] {
			t.Errorf("there is no word %s", full)
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
	for _, part := range []string{"Rate.Events", "Rate.Window"} {
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
