package await_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// Tasks that do not return.

func TestATaskThatNeverReturnsHoldsUpTheEnd(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		start := time.Now()
		release := make(chan struct{})
		time.AfterFunc(1000*time.Hour, func() { close(release) })
		call(gatherCancelledAfter(t, time.Second), []await.Task[int]{stubborn(release), after(time.Minute, 1)})
		require.Equal(t, 1000*time.Hour, time.Since(start))
	})
}

func TestATaskThatNeverReturnsDoesNotHoldUpTheEndWithDetach(t *testing.T) {
	eachCall(t, func(t *testing.T, call callWithin) {
		start := time.Now()
		release := make(chan struct{})
		defer close(release)
		call(gatherCancelledAfter(t, time.Second), []await.Task[int]{stubborn(release), after(time.Minute, 1)}, await.Detach())
		require.Equal(t, time.Second, time.Since(start))
	})
}

// stubborn is a task that waits for release, whatever its context does.
func stubborn(release <-chan struct{}) await.Task[int] {
	return func(context.Context) (int, error) {
		<-release
		return 0, nil
	}
}

// Something goes wrong at every possible point. Where two things happen at the
// same moment the oracle is silent, and only what must hold always is asked of
// what comes.

func TestTheContextEndsANanosecondBeforeOrAfterAnything(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, s *scenario) {
		s.cancels, s.expires = never, 0
		s.requireAsForetold(t)
		s.expires = never
		for _, at := range s.moments() {
			for _, s.expires = range []time.Duration{at - 1, at + 1} {
				if s.expires > 0 {
					s.requireAsForetold(t)
				}
			}
		}
	})
}

func TestTheContextEndsInTheSameInstantAsAnything(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, s *scenario) {
		s.cancels, s.expires, s.breaks = never, never, never
		s = s.harmless()
		for _, s.expires = range s.moments() {
			s.requireNothingWrong(t)
		}
	})
}

func TestATaskPanicsAtItsStartOrEnd(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, s *scenario) {
		for i := range s.plans {
			v := s.clone()
			v.plans[i].ends = panics
			v.requireAsForetold(t)
			v.plans[i].gives = panics
			v.requireAsForetold(t)
			v.plans[i].lasts = 1
			v.requireAsForetold(t)
			v.plans[i].lasts = 0
			v.harmless().requireNothingWrong(t)
		}
	})
}

func TestTheSequenceBreaksInAnyStep(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, s *scenario) {
		for s.breaks = range s.steps {
			v := s.clone()
			v.steps[v.breaks]++
			for _, v.broken = range []ending{panics, exits, fails} {
				if v.breaks < len(v.plans) || v.broken != fails {
					v.requireAsForetold(t)
				}
			}
			v.steps[v.breaks] = 0
			v.harmless().requireNothingWrong(t)
		}
	})
}

func TestTheBodyLeavesWithAnyResultInAnyWay(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, s *scenario) {
		for s.leaves = range s.bodies {
			v := s.clone()
			v.bodies[s.leaves]++
			for _, v.how = range []ending{succeeds, panics, exits} {
				v.requireAsForetold(t)
			}
		}
	})
}

func TestTheBodyLeavesInTheSameInstantAsAnything(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, s *scenario) {
		s.how, s.breaks = succeeds, never
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
	})
}

// eachKind runs a test for some scenarios of every kind of call.
func eachKind(t *testing.T, test func(t *testing.T, s *scenario)) {
	t.Helper()
	for k := range kinds {
		t.Run(kind(k).String(), func(t *testing.T) {
			t.Parallel()
			for seed := range max(1, *scenarios/400) {
				c := choicesOf(seed)
				c[0] = byte(k)
				test(t, scenarioOf(fmt.Sprintf("%v of seed %d", kind(k), seed), c))
			}
		})
	}
}

// requireAsForetold fails if the scenario goes otherwise than foretold. It
// leaves out what cannot be foretold, and what would crash the program.
func (s *scenario) requireAsForetold(t *testing.T) {
	t.Helper()
	if o := s.foretell(); !o.crashes && !o.coincident {
		require.Empty(t, s.difference(t), "%s: %v", s.name, s)
	}
}

// requireNothingWrong fails if anything happens that never must.
func (s *scenario) requireNothingWrong(t *testing.T) {
	t.Helper()
	st := s.perform(t)
	require.Empty(t, strings.Join(st.wrongs(), "\n"), "%s: %v\n%v", s.name, s, &st.chronicle)
}

// moments are those at which something happens, and the beginning.
func (s *scenario) moments() []time.Duration {
	var list []time.Duration
	for _, l := range s.foretell().sorted() {
		if l.at < curtainCall {
			list = append(list, l.at)
		}
	}
	return slices.Compact(list)
}

// momentOf is when something happens.
func (s *scenario) momentOf(what string) time.Duration {
	for _, l := range s.foretell().lines {
		if strings.HasPrefix(l.what, what) {
			return l.at
		}
	}
	return never
}

func (s *scenario) clone() *scenario {
	v := *s
	v.plans, v.bodies, v.steps = slices.Clone(s.plans), slices.Clone(s.bodies), slices.Clone(s.steps)
	return &v
}
