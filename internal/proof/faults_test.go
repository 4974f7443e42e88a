//go:build !explore

package proof_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Something goes wrong at every possible point of some scenarios of every kind.
// Where two things happen at the same moment the oracle is silent, and only
// what must hold always is asked of what comes.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		test func(t *testing.T, s *scenario)
	}{
		{"context ends a nanosecond before or after anything", contextEndsBesideAnything},
		{"context ends in the same instant as anything", contextEndsWithAnything},
		{"task panics at its start or end", taskPanics},
		{"sequence breaks in any step", sequenceBreaks},
		{"sequence fails when it cleans up", cleanupFails},
		{"body leaves with any result in any way", bodyLeaves},
		{"body leaves in the same instant as anything", bodyLeavesWithAnything},
		{"OnCancel panics", hookPanics},
		{"OnDiscard panics with any value", discardPanics},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			for k := range kinds {
				t.Run(kind(k).String(), func(t *testing.T) {
					t.Parallel()
					for seed := range max(1, *scenarios/400) {
						c := choicesOf(seed)
						c[0] = byte(k)
						fault.test(t, scenarioOf(fmt.Sprintf("%v of seed %d", kind(k), seed), c))
					}
				})
			}
		})
	}
}

func contextEndsBesideAnything(t *testing.T, s *scenario) {
	s.cancels, s.expires = none, 0
	s.requirePredicted(t)
	s.expires = never
	for _, at := range s.moments() {
		for _, s.expires = range []time.Duration{at - 1, at + 1} {
			if s.expires > 0 {
				s.requirePredicted(t)
			}
		}
	}
}

func contextEndsWithAnything(t *testing.T, s *scenario) {
	s.cancels, s.expires = none, never
	for _, at := range s.moments() {
		v := s.harmless()
		v.expires = at
		v.requireNothingWrong(t)
	}
}

func taskPanics(t *testing.T, s *scenario) {
	for i := range s.plans {
		v := s.clone()
		v.plans[i].ends = panics
		v.requirePredicted(t)
		v.plans[i].gives = panics
		v.requirePredicted(t)
		v.plans[i].lasts = 1
		v.requirePredicted(t)
		v.plans[i].lasts = 0
		v.harmless().requireNothingWrong(t)
	}
}

func sequenceBreaks(t *testing.T, s *scenario) {
	for s.breaks = range s.steps {
		v := s.clone()
		v.steps[v.breaks]++
		for _, v.broken = range []ending{panics, exits, fails} {
			if v.broken != fails {
				v.requirePredicted(t)
			} else if v.breaks < len(v.plans) {
				v.cleanup, v.cleaned = 0, succeeds
				v.requirePredicted(t)
			}
		}
		v.steps[v.breaks] = 0
		v.harmless().requireNothingWrong(t)
	}
}

func cleanupFails(t *testing.T, s *scenario) {
	if !s.kind.sequence() {
		return
	}
	for _, s.cleaned = range []ending{panics, exits, fails} {
		s.cleanup = 1
		s.requirePredicted(t)
		s.cleanup = 0
		s.harmless().requireNothingWrong(t)
	}
}

func bodyLeaves(t *testing.T, s *scenario) {
	for s.leaves = range s.bodies {
		v := s.clone()
		v.bodies[s.leaves]++
		for _, v.how = range []ending{succeeds, panics, exits} {
			v.requirePredicted(t)
		}
	}
}

func bodyLeavesWithAnything(t *testing.T, s *scenario) {
	s.how = succeeds
	s = s.harmless()
	for s.leaves = range s.bodies {
		moments := s.moments()
		yielded := s.momentOf(fmt.Sprintf("result %d:", s.leaves))
		if yielded == never {
			return
		}
		v := s.clone()
		for _, at := range moments {
			if at >= yielded {
				v.bodies[v.leaves] = at - yielded
				v.requireNothingWrong(t)
			}
		}
	}
}

func hookPanics(t *testing.T, s *scenario) {
	for _, lasts := range []time.Duration{0, 1} {
		s.hooks = []hook{{lasts, panics}, {0, succeeds}}
		s.requirePredicted(t)
	}
}

func discardPanics(t *testing.T, s *scenario) {
	if s.detach { // on a task's goroutine it would crash the program
		return
	}
	s.discards = true
	for s.spoiled = range s.plans {
		s.requirePredicted(t)
	}
}

// A task that ignores its context holds up the end, but not with Detach.
func TestDeafTask(t *testing.T) {
	t.Parallel()
	for k := range kinds {
		for _, detach := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/Detach=%v", kind(k), detach), func(t *testing.T) {
				t.Parallel()
				s := scenarioOf("a deaf task", choices{byte(k)})
				s.detach, s.expires = detach, time.Second
				s.plans = []plan{{lasts: 1000 * time.Hour, lingers: never}, {lasts: 1}}
				s.bodies, s.steps = make([]time.Duration, 2), make([]time.Duration, 3)
				end := 1000 * time.Hour
				if detach {
					end = time.Second
				}
				require.Equal(t, end, s.momentOf("the call ends"))
				s.requirePredicted(t)
			})
		}
	}
}

// requirePredicted fails if the scenario goes otherwise than predicted. It
// leaves out what cannot be predicted, and what would crash the program.
func (s *scenario) requirePredicted(t *testing.T) {
	t.Helper()
	if s.predict().useful() {
		require.Empty(t, s.difference(t), "%s: %v", s.name, s)
	}
}

// requireNothingWrong fails if anything happens that never must.
func (s *scenario) requireNothingWrong(t *testing.T) {
	t.Helper()
	p := s.perform(t)
	require.Empty(t, p.wrongs(), "%s: %v\n%v", s.name, s, &p.history)
}

// moments are those at which something happens.
func (s *scenario) moments() []time.Duration {
	var list []time.Duration
	for _, l := range s.predict().sorted() {
		if l.at < settled {
			list = append(list, l.at)
		}
	}
	return slices.Compact(list)
}

// momentOf is when something happens.
func (s *scenario) momentOf(what string) time.Duration {
	for _, l := range s.predict().lines {
		if strings.HasPrefix(l.what, what) {
			return l.at
		}
	}
	return never
}
