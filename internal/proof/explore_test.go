//go:build explore

package proof_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await/internal/proof/explorer"
)

var (
	lowest = flag.Int("lowest", 0, "explore from so many preemptions on")
	bound  = flag.Int("bound", 1, "explore up to so many preemptions")
	hash   = flag.Bool("hash", true, "explore: cut a run short where another one has been")
	within = flag.Duration("within", 0, "explore: time for each scenario and number of preemptions; 0 is no end")
	replay = flag.String("replay", "", "explore: run one schedule alone, of the one scenario that -run selects, and print its steps")
	lean   = flag.Bool("lean", false, "explore: stop at the first failure, and print no steps")
)

// TestExplore runs small calls in every order of their steps. What a scenario
// checks is in explore_world_test.go.
func TestExplore(t *testing.T) {
	schedules, cut := 0, 0
	start := time.Now()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			if *replay != "" {
				path, err := explorer.ParsePath(*replay)
				require.NoError(t, err)
				r := explorer.Explore(explorer.Search{Replay: path}, s.run)
				t.Log(r.History)
				require.Empty(t, r.Failure)
				return
			}
			for b := max(0, *lowest-s.less); b <= *bound-s.less; b++ {
				r := explorer.Explore(explorer.Search{Bound: b, Hash: *hash, Within: *within}, s.run)
				t.Log(r)
				schedules += r.Runs
				if r.Failure != "" {
					t.Fatalf("%s\nreplay it with\n\n\tgo test -tags explore ./internal/proof -v -run '%s' -replay %s\n", brief(&r), pattern(t.Name()), orZero(r.Path))
				}
				if r.TimedOut {
					cut++
					break
				}
			}
		})
		if *lean && t.Failed() {
			break
		}
	}
	fmt.Printf("explored %d schedules in %v; %d searches ran out of time\n", schedules, time.Since(start).Round(time.Millisecond), cut)
}

// brief is the steps of a schedule that failed.
func brief(r *explorer.Report) string {
	if *lean {
		return r.Failure
	}
	return r.Failure + "\n" + r.History
}

// orZero is the text of a path, which must not be empty for a flag.
func orZero(p explorer.Path) string {
	if len(p) == 0 {
		return "0:0"
	}
	return p.String()
}

// pattern selects one subtest.
func pattern(name string) string { return "^" + strings.ReplaceAll(name, "/", "$/^") + "$" }

// scenario is a small program. It makes everything that it uses: it runs many
// times.
type scenario struct {
	name string
	run  func()
	less int // preemptions fewer than the others, because it is large
}
