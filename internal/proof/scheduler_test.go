//go:build !explore

package proof_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// The same scenarios on the real scheduler: what takes time takes a few turns
// of other goroutines, or microseconds. Nothing can be predicted then, but no
// task runs twice or without a result, the limits hold, what tasks wrote is
// visible, every value is accounted for, and nothing is left.
func TestScheduler(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("a goroutine that only yields keeps timers from running there")
	}
	for seed := range *scenarios / 10 {
		s := scenarioOf(fmt.Sprintf("seed %d", seed), choicesOf(seed)).harmless()
		s.speedUp(rand.New(rand.NewPCG(uint64(seed), 1)))
		hangs := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("%s hangs: %v", s.name, s)) })
		p := newPerformance(s)
		p.performForReal(t)
		require.Empty(t, p.wrongs(), "%s: %v\n%v", s.name, s, &p.history)
		hangs.Stop()
	}
}

// Where goroutines compute on every core, each turn on a core is waited for tens
// of milliseconds. A loop over a sequence must not need many more turns than one
// over a list.
func TestBusyCores(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("goroutines that compute are not interrupted there")
	}
	var busy sync.WaitGroup
	var idle atomic.Bool
	for range 2*runtime.GOMAXPROCS(0) + 2 {
		busy.Go(func() {
			for !idle.Load() {
			}
		})
	}
	defer busy.Wait()
	defer idle.Store(true)

	inputs := make([]int, 400)
	task := func(_ context.Context, i int) (int, error) {
		for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
		}
		return i, nil
	}
	took := func(results iter.Seq2[int, await.Result[int]]) time.Duration {
		start := time.Now()
		for range results {
		}
		return time.Since(start)
	}
	for _, limit := range []int{2, 4, 8} {
		list := took(await.AsCompleted(t.Context(), await.Tasks(inputs, task), await.Limit(limit)))
		sequence := took(await.AsCompletedSeq(t.Context(), await.TaskSeq(slices.Values(inputs), task), await.Limit(limit)))
		require.Less(t, sequence, 20*list+time.Second, "limit %d", limit)
	}
}

// TestShortTasks has tasks that take no time, and results for which memory has to
// be found on the way. No more goroutines may come to wait for that: some 10 to
// 50 were seen, and thousands where workers could be launched meanwhile.
func TestShortTasks(t *testing.T) {
	var crowd atomic.Int64
	tasks := await.Times(200_000, func(_ context.Context, i int) (value [32]int, err error) {
		if i%8 == 0 {
			if n := runtime.NumGoroutine(); n >= 500 {
				crowd.Store(int64(n))
			}
		}
		return value, nil
	})
	for range 5 {
		for range await.AsCompleted(t.Context(), tasks) {
		}
	}
	require.Zero(t, crowd.Load(), "goroutines at once")
}

// performForReal performs the scenario outside of bubbles. It returns when
// there are no more goroutines than before.
func (p *performance) performForReal(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	p.real = true
	p.begin = time.Now()
	p.woken = make(chan struct{})
	p.calls(t.Context())
	p.outside.Wait()
	for runtime.NumGoroutine() > goroutines {
		runtime.Gosched()
	}
	p.epilogue(t.Context())
}

// harmless is the scenario without what could crash the program when nobody
// knows what comes first: a panic that nobody waits for.
func (s *scenario) harmless() *scenario {
	h := s.clone()
	if h.detach {
		h.recovers, h.breaks, h.cleaned = true, none, succeeds
	}
	return h
}

// speedUp makes everything that takes time take next to none.
func (s *scenario) speedUp(rng *rand.Rand) {
	soon := func(d *time.Duration) {
		if *d <= 0 { // at once, or never
			return
		}
		if *d = time.Duration(rng.IntN(20)); rng.IntN(4) == 0 {
			*d *= time.Microsecond
		}
	}
	soon(&s.expires)
	soon(&s.cleanup)
	for i := range s.plans {
		soon(&s.plans[i].lasts)
		soon(&s.plans[i].lingers)
		soon(&s.plans[i].when)
	}
	for i := range s.hooks {
		soon(&s.hooks[i].lasts)
	}
	for i := range s.bodies {
		soon(&s.bodies[i])
	}
	for i := range s.steps {
		soon(&s.steps[i])
	}
}
