//go:build explore

package explorer_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await/internal/proof/explorer"
)

var errBoom = errors.New("boom")

// What is known to go wrong in some order, and the least number of preemptions
// at which it does.
var faults = []struct {
	name  string
	bound int
	text  string
	run   func()
}{
	{"lost update", 1, "lost", func() {
		var m explorer.Mutex
		var o explorer.Object
		n, left := 0, 2
		add := func() {
			m.Lock()
			v := n
			m.Unlock()
			m.Lock()
			n = v + 1
			left--
			m.Unlock()
		}
		explorer.Go(add)
		explorer.Go(add)
		explorer.Until("join", &o, func() bool { return left == 0 })
		if n != 2 {
			explorer.Fail("lost")
		}
	}},
	{"lost update of an atomic", 1, "lost", func() {
		var n, left explorer.Int64
		var o explorer.Object
		add := func() {
			n.Store(n.Load() + 1)
			left.Add(1)
			explorer.Point("added", &o, true)
		}
		explorer.Go(add)
		add()
		if left.Load() == 2 && n.Load() != 2 {
			explorer.Fail("lost")
		}
	}},
	{"locks in opposite orders", 1, "deadlock", func() {
		var a, b explorer.Mutex
		both := func(a, b *explorer.Mutex) {
			a.Lock()
			defer a.Unlock()
			b.Lock()
			defer b.Unlock()
		}
		explorer.Go(func() { both(&a, &b) })
		both(&b, &a)
	}},
	{"Signal before Wait", 0, "deadlock", func() {
		var m explorer.Mutex
		c := explorer.Cond{L: &m}
		explorer.Go(func() { c.Signal() })
		explorer.Go(func() { m.Lock(); c.Wait(); m.Unlock() })
	}},
	{"Signal wakes any", 0, "the second", func() {
		var m explorer.Mutex
		var o explorer.Object
		c := explorer.Cond{L: &m}
		waiting, woken := 0, 0
		for i := range 2 {
			explorer.Go(func() {
				m.Lock()
				waiting++
				c.Wait()
				if woken++; woken == 1 && i == 1 {
					explorer.Fail("the second")
				}
				m.Unlock()
				c.Signal()
			})
		}
		explorer.Until("both wait", &o, func() bool { return waiting == 2 })
		m.Lock()
		c.Signal()
		m.Unlock()
	}},
	{"not locked", 0, "explorer_test.go", func() {
		var m explorer.Mutex
		explorer.AssertLocked(&m)
	}},
	{"locked twice", 0, "a thread locks", func() {
		var m explorer.Mutex
		m.Lock()
		m.Lock()
	}},
	{"locked for good", 0, "thread 0 ends", func() {
		var m explorer.Mutex
		m.Lock()
	}},
	{"a lock around a call", 0, "a lock is held", func() {
		var m explorer.Mutex
		m.Lock()
		explorer.Unlocked()
	}},
	{"panic", 0, "panic in thread 1: boom", func() {
		explorer.Go(func() { panic(errBoom) })
	}},
	{"a goroutine goes on", 0, "a goroutine of the call goes on", func() {
		var o explorer.Object
		explorer.Spawn(func() { explorer.Point("step", &o, true) })
		explorer.Seal()
	}},
	{"without end", 0, "no end in sight", func() {
		var o explorer.Object
		for {
			explorer.Point("step", &o, true)
		}
	}},
	{"AfterFunc before stop", 1, "ran", func() {
		ctx, cancel := explorer.WithCancel(context.Background())
		var o explorer.Object
		ran, stopped := false, false
		stop := explorer.AfterFunc(ctx, func() { ran = true })
		explorer.Go(func() { cancel(nil) })
		stopped = stop()
		explorer.Until("ran or stopped", &o, func() bool { return ran || stopped })
		if ran {
			explorer.Fail("ran")
		}
	}},
	{"a child ends after its parent", 2, "parent first", func() {
		parent, cancel := explorer.WithCancel(context.Background())
		child, _ := explorer.WithCancel(parent)
		explorer.Go(func() { cancel(nil) })
		if parent.Err() != nil && child.Err() == nil {
			explorer.Fail("parent first")
		}
	}},
	{"a child of a foreign context ends after it", 0, "parent first", func() {
		known, cancel := explorer.WithCancel(context.Background())
		parent := foreign{known}
		child, end := explorer.WithCancel(parent)
		cancel(nil)
		err := child.Err()
		end(nil)
		if err == nil {
			explorer.Fail("parent first")
		}
	}},
	{"semaphores in opposite orders", 1, "deadlock", func() {
		s := explorer.NewSemaphore(1)
		t := explorer.NewSemaphore(1)
		two := func(s, t *explorer.Semaphore) {
			if s.Acquire(context.Background(), 1) != nil || t.Acquire(context.Background(), 1) != nil {
				explorer.Fail("acquire")
			}
			s.Release(1)
			t.Release(1)
		}
		explorer.Go(func() { two(s, t) })
		two(t, s)
	}},
}

// foreign hides what it is from package context and from the explorer.
type foreign struct{ context.Context }

func (foreign) Value(any) any { return nil }

func TestFaults(t *testing.T) {
	for _, f := range faults {
		for _, hash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/hash=%t", f.name, hash), func(t *testing.T) {
				for bound := range f.bound {
					r := explorer.Explore(explorer.Search{Bound: bound, Hash: hash}, f.run)
					require.Empty(t, r.Failure, "with %d preemptions", bound)
				}
				r := explorer.Explore(explorer.Search{Bound: f.bound, Hash: hash}, f.run)
				require.Contains(t, r.Failure, f.text)

				path, err := explorer.ParsePath(r.Path.String())
				require.NoError(t, err)
				again := explorer.Explore(explorer.Search{Replay: path}, f.run)
				require.Equal(t, 1, again.Runs)
				require.Equal(t, first(r.Failure), first(again.Failure))
				require.Equal(t, r.History, again.History)
			})
		}
	}
}

func first(lines string) string {
	line, _, _ := strings.Cut(lines, "\n")
	return line
}

// Three threads of k steps on one object have (3k)!/(k!)^3 orders.
func TestOrders(t *testing.T) {
	r := explorer.Explore(explorer.Search{Bound: explorer.Unbounded}, func() {
		var o explorer.Object
		for range 3 {
			explorer.Go(func() {
				for range 3 {
					explorer.Point("step", &o, true)
				}
			})
		}
	})
	require.Empty(t, r.Failure)
	require.Equal(t, 1680, r.Runs) // 9!/(3!)^3
}

// Of steps on different objects all orders are alike.
func TestHash(t *testing.T) {
	scenario := func(write bool) func() {
		return func() {
			objects := make([]explorer.Object, 3)
			for i := range 3 {
				explorer.Go(func() {
					for range 3 {
						explorer.Point("own", &objects[i], true)
					}
					explorer.Point("common", &objects[0], write)
				})
			}
		}
	}
	all := explorer.Explore(explorer.Search{Bound: explorer.Unbounded}, scenario(true))
	few := explorer.Explore(explorer.Search{Bound: explorer.Unbounded, Hash: true}, scenario(true))
	require.Equal(t, 34650, all.Runs) // 12!/(4!)^3
	require.Less(t, few.Runs, 1000)
}

func TestContext(t *testing.T) {
	type key struct{}
	r := explorer.Explore(explorer.Search{}, func() {
		check := func(ok bool, what string) {
			if !ok {
				explorer.Fail("%s", what)
			}
		}
		parent, cancel := explorer.WithCancel(context.Background())
		valued := context.WithValue(parent, key{}, 1)
		child, _ := explorer.WithCancel(valued)
		free, _ := explorer.WithCancel(context.WithoutCancel(valued))
		std, end := context.WithCancel(child)
		defer end()
		check(child.Value(key{}) == 1 && free.Value(key{}) == 1, "values")
		check(context.Cause(child) == nil, "no cause yet")
		cancel(errBoom)
		check(errors.Is(child.Err(), context.Canceled) && errors.Is(context.Cause(child), errBoom), "cause of a child")
		check(errors.Is(std.Err(), context.Canceled) && errors.Is(context.Cause(std), errBoom), "cause of a child of package context")
		check(free.Err() == nil, "a child without cancel")
		late, _ := explorer.WithCancel(valued)
		check(errors.Is(late.Err(), context.Canceled) && errors.Is(context.Cause(late), errBoom), "a child that comes late")
		ran := false
		explorer.AfterFunc(late, func() { ran = true })
		var o explorer.Object
		explorer.Until("ran", &o, func() bool { return ran })
	})
	require.Empty(t, r.Failure, r.History)
}

// Idle lets all others go on first.
func TestIdle(t *testing.T) {
	r := explorer.Explore(explorer.Search{Bound: 2}, func() {
		var o explorer.Object
		n, idle := 0, 0
		for range 2 {
			explorer.Go(func() {
				explorer.Idle()
				idle++
			})
			explorer.Go(func() {
				explorer.Point("step", &o, true)
				explorer.Point("step", &o, true)
				n++
			})
		}
		explorer.Until("idle", &o, func() bool { return idle > 0 })
		if n != 2 {
			explorer.Fail("a thread could have gone on")
		}
	})
	require.Empty(t, r.Failure, r.History)
}

// Who waits for a place gets it in turn, or the error of its context.
func TestSemaphore(t *testing.T) {
	r := explorer.Explore(explorer.Search{Bound: 2}, func() {
		s := explorer.NewSemaphore(1)
		ctx, cancel := explorer.WithCancel(context.Background())
		var o explorer.Object
		inside, left := 0, 3
		use := func(ctx context.Context) {
			if s.Acquire(ctx, 1) == nil {
				explorer.Point("in", &o, true)
				if inside++; inside > 1 {
					explorer.Fail("two inside")
				}
				explorer.Point("out", &o, true)
				inside--
				s.Release(1)
			} else if ctx.Err() == nil {
				explorer.Fail("an error without a cause")
			}
			left--
		}
		explorer.Go(func() { use(context.Background()) })
		explorer.Go(func() { use(ctx) })
		explorer.Go(func() { use(context.Background()) })
		cancel(nil)
		explorer.Until("join", &o, func() bool { return left == 0 })
		use(context.Background())
	})
	require.Empty(t, r.Failure, r.History)
	require.Greater(t, r.Runs, 50)
}

// A run that is given up leaves no goroutine behind.
func TestNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, f := range faults {
		explorer.Explore(explorer.Search{Bound: f.bound, Hash: true}, f.run)
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
}

func TestParsePath(t *testing.T) {
	for _, bad := range []string{"x", "1", "1:2,x", "1:2x"} {
		_, err := explorer.ParsePath(bad)
		require.Error(t, err, bad)
	}
	p, err := explorer.ParsePath("12:2,3:1")
	require.NoError(t, err)
	require.Equal(t, "3:1,12:2", p.String())
}

// What one step costs that hands over control, or not.
func BenchmarkPoint(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			for b.Loop() {
				explorer.Explore(explorer.Search{}, func() {
					var o explorer.Object
					turn := 0
					for i := range threads {
						explorer.Go(func() {
							for range 10000 / threads {
								explorer.Until("turn", &o, func() bool { return turn%threads == i })
								turn++
							}
						})
					}
				})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/step")
		})
	}
}
