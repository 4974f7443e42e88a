//go:build !explore

package proof_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

const noSeed = -1

var (
	scenarios = flag.Int("scenarios", 20000, "how many scenarios TestScenarios performs")
	seedFlag  = flag.Int("seed", noSeed, "perform only the scenario of this seed")
)

// Whatever is called, with whatever options, and whatever happens meanwhile:
// all of it happens as the oracle predicts, at the very nanosecond.
func TestScenarios(t *testing.T) {
	t.Parallel()
	if *seedFlag != noSeed {
		c := choicesOf(*seedFlag)
		s := scenarioOf("this scenario", c)
		fmt.Printf("%v\npredicted:\n%v", s, &s.predict().history) // not t.Log: the program may crash
		requirePredicted(t, s.name, c)
		return
	}
	const lots = 50
	for lot := range lots {
		t.Run(fmt.Sprint(lot), func(t *testing.T) {
			t.Parallel()
			for seed := lot; seed < *scenarios; seed += lots {
				requirePredicted(t, fmt.Sprintf("seed %d", seed), choicesOf(seed))
			}
		})
	}
}

// requirePredicted performs the scenario of these choices. If it goes otherwise
// than predicted, the test fails with the smallest scenario found that does.
func requirePredicted(t *testing.T, name string, c choices) {
	t.Helper()
	if s := scenarioOf(name, c); s.difference(t) == "" {
		return
	}
	s := scenarioOf(name, c.shrunk(func(c choices) bool {
		s := scenarioOf(name, c)
		return s.safe() && s.difference(t) != ""
	}))
	require.Fail(t, name+" does not go as predicted",
		"%v\nwhat should happen (-) and what does (+):\n%s", s, s.difference(t))
}

// difference performs a scenario, and returns what of it was not predicted, or
// is wrong whatever the scenario.
func (s *scenario) difference(t *testing.T) string {
	o := s.predict()
	if !o.useful() {
		return fmt.Sprintf("the scenario is of no use: crashes %v, coincident %v, open %v", o.crashes, o.coincident, o.open)
	}
	p := s.perform(t)
	return o.diff(&p.history) + p.wrongs()
}

// safe reports whether the scenario cannot crash the program even if it goes
// otherwise than predicted.
func (s *scenario) safe() bool {
	return s.breaks == none && s.cleaned == succeeds && (!s.detach || s.recovers)
}
