// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// fault is something that fails.
type fault struct {
	name string
	// begin makes it fail; end mends it.
	begin func(w *faultWorld, s faultSurface)
	end   func(w *faultWorld)
	// reached tells whether the step met the fault.
	reached func(w *faultWorld) bool
	// silent is set where the answer goes to nobody, so that the step is taken again.
	silent bool
}

func storeFault(name string, f faulty.Fault) fault {
	// A wrong answer is one to a question.
	asked := faulty.Op("")
	if f == faulty.Wrong {
		asked = faulty.Get
	}
	return fault{
		name: name,
		begin: func(w *faultWorld, s faultSurface) {
			w.store.faulty.Only("", s.about)
			w.store.faulty.Set(f)
			w.calls = w.store.faulty.Count(asked, s.about)
		},
		end:     func(w *faultWorld) { w.store.faulty.Set(faulty.None) },
		reached: func(w *faultWorld) bool { return w.store.faulty.Count(asked, w.surface.about) > w.calls },
	}
}

func providerFault(name string, f entratest.Fault) fault {
	var mu sync.Mutex
	before := map[*faultWorld]int{}
	return fault{
		name: name,
		begin: func(w *faultWorld, _ faultSurface) {
			mu.Lock()
			defer mu.Unlock()
			before[w] = len(w.idp.Requests(""))
			for _, e := range []entratest.Endpoint{entratest.Metadata, entratest.Keys, entratest.Token} {
				w.idp.Break(e, f)
			}
		},
		end: func(w *faultWorld) {
			for _, e := range []entratest.Endpoint{entratest.Metadata, entratest.Keys, entratest.Token} {
				w.idp.Mend(e)
			}
		},
		reached: func(w *faultWorld) bool {
			mu.Lock()
			defer mu.Unlock()
			return len(w.idp.Requests("")) > before[w]
		},
	}
}

func faults() []fault {
	after := storeFault("store fails after the write took effect", faulty.After)
	after.begin = func(w *faultWorld, s faultSurface) {
		w.store.faulty.Only(s.write, s.kind)
		w.store.faulty.Set(faulty.After, slices.Repeat([]faulty.Fault{faulty.None}, s.skip)...)
		if s.write == "" {
			w.store.faulty.Set(faulty.None)
		}
		w.calls = w.store.faulty.Count(s.write, s.kind)
	}
	after.reached = func(w *faultWorld) bool {
		return w.surface.write != "" && w.store.faulty.Count(w.surface.write, w.surface.kind) > w.calls+w.surface.skip
	}
	return []fault{
		storeFault("store fails", faulty.Before),
		after,
		storeFault("store does not answer", faulty.Hang),
		storeFault("store answers something else", faulty.Wrong),
		{
			name:    "record does not decrypt",
			begin:   func(w *faultWorld, s faultSurface) { w.store.set(s.about, nil) },
			end:     func(w *faultWorld) { w.store.set("", nil) },
			reached: func(w *faultWorld) bool { return w.store.reached() },
		},
		storeFault("store panics", faulty.Panic),
		providerFault("provider answers 502", entratest.Outage()),
		providerFault("provider does not answer", entratest.Fault{Hang: true}),
		providerFault("provider answers invalid_grant", entratest.Answer(http.StatusBadRequest, "invalid_grant", 50057)),
		providerFault("provider answers nonsense", entratest.Fault{Status: http.StatusOK, Body: "<html>"}),
		{
			name:    "an hour later",
			begin:   func(*faultWorld, faultSurface) { <-time.After(time.Hour) },
			end:     func(*faultWorld) {},
			reached: func(*faultWorld) bool { return true },
		},
		{
			name:    "client hangs up",
			begin:   func(w *faultWorld, s faultSurface) { w.store.set("", w.hangUpAt(s)) },
			end:     func(w *faultWorld) { w.store.set("", nil) },
			reached: func(w *faultWorld) bool { return w.store.reached() },
			silent:  true,
		},
	}
}

// hangUpAt makes whoever asks leave at the write that counts, or at the first call of the
// store where nothing is written.
func (w *faultWorld) hangUpAt(s faultSurface) func(faulty.Op, store.Kind) bool {
	skip := s.skip
	return func(op faulty.Op, kind store.Kind) bool {
		if s.write != "" && (op != s.write || kind != s.kind) {
			return false
		}
		if skip--; skip >= 0 {
			return false
		}
		(*w.hangUp.Load())()
		return true
	}
}

// row is what happens at a surface in a fault, as the document says it.
func row(t *testing.T, f fault, s faultSurface) (line string) {
	synctest.Test(t, func(t *testing.T) {
		w := newFaultWorld(t)
		defer w.close()
		w.surface = s
		step := s.begin(w)
		w.events.take()
		f.begin(w, s)
		first := step.do()
		// What goes on without the client comes to its end first.
		synctest.Wait()
		concerned := f.reached(w)
		f.end(w)
		events := namesOf(w.events.take())
		if f.silent {
			// Whether the client was seen to leave before or after that is chance.
			names := strings.Split(events, ", ")
			slices.Sort(names)
			events = strings.Join(names, ", ")
		}
		if step.mended != nil {
			step.mended()
		}
		again, then := "–", []event.Event(nil)
		if !good(first) || f.silent {
			<-time.After(retryAfter)
			again = step.do()
			then = w.events.take()
		}
		kept, consumed := "–", "–"
		if step.consumed != nil {
			consumed = yesNo(step.consumed(first, again, then))
		}
		if step.kept != nil {
			kept = yesNo(step.kept())
		}
		if !concerned {
			first += " (not concerned)"
		}
		line = fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", s.name, first, again, kept, consumed, events)
	})
	return line
}

// retryAfter is what the header of that name says to whoever got no answer.
const retryAfter = 5 * time.Second

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// namesOf lists events in the words of the audit trail. That a token is in use is no news.
func namesOf(events []event.Event) string {
	var out []string
	for _, e := range events {
		name := string(e.Kind)
		if e.Mode != "" {
			name += " (" + e.Mode + ")"
		}
		if e.Kind != event.TokenUsed && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, ", ")
}

const faultsDocument = "docs/faults.md"

// faultsIntroduction is the part of the document that is written by hand.
const faultsIntroduction = "testdata/faults/introduction.md"

// The document says for each fault and each surface what happens, and this is what happens.
func TestFaultTable(t *testing.T) {
	t.Parallel()
	rows := map[string]string{}
	var mu sync.Mutex
	t.Run("cells", func(t *testing.T) {
		for _, f := range faults() {
			for _, s := range faultSurfaces {
				t.Run(f.name+"/"+s.name, func(t *testing.T) {
					t.Parallel()
					line := row(t, f, s)
					mu.Lock()
					defer mu.Unlock()
					rows[f.name+s.name] = line
				})
			}
		}
	})
	if len(rows) != 12*10 {
		t.Fatalf("%d cells", len(rows))
	}
	introduction, err := os.ReadFile(faultsIntroduction)
	if err != nil {
		t.Fatal(err)
	}
	document := string(introduction)
	for _, f := range faults() {
		document += "\n## " + strings.ToUpper(f.name[:1]) + f.name[1:] + "\n\n"
		document += "| Step | Answer | The same step 5 s later | Kept | Used up | Events |\n|---|---|---|---|---|---|\n"
		for _, s := range faultSurfaces {
			document += rows[f.name+s.name] + "\n"
		}
	}
	if *updateGoldens {
		if err := os.WriteFile(faultsDocument, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(faultsDocument)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(document, "\n") {
		if said := strings.Split(string(got), "\n"); i >= len(said) || said[i] != line {
			t.Fatalf("%s, line %d, is not what happens, which is\n%s", faultsDocument, i+1, line)
		}
	}
}
