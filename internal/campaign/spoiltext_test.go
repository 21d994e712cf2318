// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// sorted ranges over a map in the order of its keys, so that a seed gives one case.
func sorted(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// spoilText changes a text in one place. Of a placeholder it changes what stands beside.
func spoilText(rng *rand.Rand, text string) string {
	if text == "" || strings.HasPrefix(text, "{") {
		return text + pick(rng, nasty)
	}
	i := rng.IntN(len(text))
	switch rng.IntN(6) {
	case 0:
		return text[:i]
	case 1:
		return text[:i] + text[i+1:]
	case 2:
		return text[:i] + string(rune(rng.IntN(256))) + text[i+1:]
	case 3:
		return text[:i] + pick(rng, nasty) + text[i:]
	case 4:
		return text[i:] + text[:i]
	default:
		return text + text[i:]
	}
}

// spoiltJSON is a registration that is no longer one, or is one that nobody means.
func spoiltJSON(rng *rand.Rand) string {
	text := pick(rng, documents())
	switch rng.IntN(24) {
	case 0:
		return deep
	case 1:
		return strings.Repeat("[", 20_000)
	case 2:
		return strings.Replace(text, "{", `{"redirect_uris":null,`, 1)
	case 3:
		return strings.Replace(text, "{", `{"Redirect_URIs":["https://hostile.test/"],"client_id":"mine",`, 1)
	case 4:
		return strings.ReplaceAll(text, `"`, pick(rng, []string{"'", "", "\\\"", "\x00", "\ufeff\""}))
	case 5:
		return pick(rng, []string{"", "null", "[]", "1", `"x"`, "{}", "\xef\xbb\xbf{}", "{}{}", "{},", `{"":0}`, "nul", `{"redirect_uris":{}}`, `{"redirect_uris":[[]]}`, `{"redirect_uris":["\ud800"]}`})
	case 6:
		return `{"redirect_uris":[` + strings.TrimSuffix(strings.Repeat(`"https://hostile.test/cb",`, 2000), ",") + `]}`
	case 7:
		return strings.ReplaceAll(text, "http", pick(rng, []string{"javascript", "data", "file", "hTTp", "\\u0000", "ftp"}))
	}
	for range 1 + rng.IntN(3) {
		text = spoilText(rng, text)
	}
	return text
}
