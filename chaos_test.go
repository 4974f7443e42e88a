package await_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The same scenarios on the real scheduler: what takes time takes a few turns
// of other goroutines, or microseconds. Nobody can foretell what happens then,
// but no task runs twice or without a result, the limits hold, what tasks wrote
// is there, and nothing is left. It is meant for the race detector:
//
//	go test -race -cpu 1,2,8 -run RealScheduler -scenarios 100000 .
func TestNoScenarioGoesWrongOnTheRealScheduler(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("there it waits for its turn, as no timer runs while it does")
	}
	for seed := range *scenarios / 10 {
		s := scenarioOf(fmt.Sprintf("seed %d", seed), choicesOf(seed)).harmless()
		s.hurry(rand.New(rand.NewPCG(uint64(seed), 1)))
		orHang(func() {
			st := newStage(s)
			st.performForReal(t)
			require.Empty(t, strings.Join(st.wrongs(), "\n"), "%s: %v\n%v", s.name, s, &st.chronicle)
		})
	}
}

// performForReal performs the scenario outside of bubbles. It returns when
// there are no more goroutines than before.
func (st *stage) performForReal(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	st.real = true
	st.begin = time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		st.call(t.Context())
	}()
	<-done
	st.outside.Wait()
	for runtime.NumGoroutine() > goroutines {
		runtime.Gosched()
	}
	st.epilogue(t.Context())
}

// harmless is the scenario without what might crash the program, now that
// nobody knows what comes first: a panic after the end.
func (s *scenario) harmless() *scenario {
	h := s.clone()
	h.recovers = h.recovers || h.detach
	if h.breaks != never {
		h.detach, h.recovers = false, true
		h.expires, h.cancels, h.leaves = never, never, never
	}
	return h
}

// hurry makes all that takes time take next to none.
func (s *scenario) hurry(rng *rand.Rand) {
	soon := func(d *time.Duration) {
		if *d <= 0 { // nothing, or never
			return
		}
		if *d = time.Duration(rng.IntN(20)); rng.IntN(4) == 0 {
			*d *= time.Microsecond
		}
	}
	soon(&s.expires)
	for i := range s.plans {
		soon(&s.plans[i].lasts)
		soon(&s.plans[i].lingers)
		soon(&s.plans[i].when)
	}
	for i := range s.bodies {
		soon(&s.bodies[i])
	}
	for i := range s.steps {
		soon(&s.steps[i])
	}
}
