package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the child that runs a probe.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		child(os.Args[2:])
		return
	}
	os.Exit(m.Run())
}

var errBoom = errors.New("boom")

// squares are n tasks that return their index squared; the one with index
// fails fails.
func squares(n, fails int) []task {
	tasks := make([]task, n)
	for i := range tasks {
		tasks[i] = func(context.Context) (int, error) {
			if i == fails {
				return 0, errBoom
			}
			return i * i, nil
		}
	}
	return tasks
}

// keyed10 is a sequence of the tasks whose keys are their index times ten.
func keyed10(tasks []task) iter.Seq2[int, task] {
	return func(yield func(int, task) bool) {
		for i, task := range tasks {
			if !yield(10*i, task) {
				return
			}
		}
	}
}

// eachJob calls do for every peer and some sizes and limits.
func eachJob(t *testing.T, limits []int, do func(t *testing.T, p *peer, n, limit int)) {
	t.Helper()
	for _, p := range peers() {
		for _, n := range []int{0, 1, 2, 100} {
			for _, limit := range limits {
				if limit == 0 || !p.noLimit {
					t.Run(fmt.Sprintf("lib=%s/n=%d/limit=%d", p.name, n, limit), func(t *testing.T) { do(t, &p, n, limit) })
				}
			}
		}
	}
}

func TestAllGatherTheSameValues(t *testing.T) {
	eachJob(t, []int{0, 1, 3}, func(t *testing.T, p *peer, n, limit int) {
		values, err := p.collect(t.Context(), squares(n, -1), limit)
		require.NoError(t, err)
		require.Len(t, values, n)
		for i, value := range values {
			require.Equal(t, i*i, value)
		}
	})
}

func TestAllGatherTheFirstError(t *testing.T) {
	eachJob(t, []int{0, 1, 3}, func(t *testing.T, p *peer, n, limit int) {
		if n == 0 {
			return
		}
		_, err := p.collect(t.Context(), squares(n, n/2), limit)
		require.ErrorIs(t, err, errBoom)
	})
}

func TestAllLoopsGiveTheSameOutcomes(t *testing.T) {
	eachJob(t, []int{0, 1, 3}, func(t *testing.T, p *peer, n, limit int) {
		requireOutcomes(t, n, 1, p.inOrder, squares(n, n/2), limit, true)
		requireOutcomes(t, n, 1, p.finish, squares(n, n/2), limit, false)
	})
	eachJob(t, []int{1, 3}, func(t *testing.T, p *peer, n, limit int) {
		requireOutcomes(t, n, 10, p.inOrderSeq, keyed10(squares(n, n/2)), limit, true)
		requireOutcomes(t, n, 10, p.finishSeq, keyed10(squares(n, n/2)), limit, false)
	})
}

func TestQueuesGiveTheSameOutcomes(t *testing.T) {
	for _, p := range append(peers(), fast) {
		if p.queue == nil {
			continue
		}
		for _, n := range []int{0, 1, 2, 100} {
			t.Run(fmt.Sprintf("lib=%s/n=%d", p.name, n), func(t *testing.T) {
				tasks := squares(n, n/2)
				added := func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
					p.queue(ctx, func(add func(int, task)) {
						for i, t := range tasks {
							add(i, t)
						}
					}, limit, each)
				}
				requireOutcomes(t, n, 1, added, tasks, 3, false)
				if n == 0 {
					return
				}
				grown := func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
					p.queue(ctx, func(add func(int, task)) { add(tree(0, tasks, add)) }, limit, each)
				}
				requireOutcomes(t, n, 1, grown, tasks, 3, false)
			})
		}
	}
}

func TestFastLoopsGiveTheSameOutcomes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100} {
		requireOutcomes(t, n, 1, fast.finish, squares(n, n/2), 3, false)
		requireOutcomes(t, n, 10, fast.finishSeq, keyed10(squares(n, n/2)), 3, false)
	}
}

// requireOutcomes fails if a loop over squares, the middle one of which fails,
// gives anything else. The keys are the indices times factor.
func requireOutcomes[Tasks any](t *testing.T, n, factor int, run func(context.Context, Tasks, int, func(outcome) bool), tasks Tasks, limit int, ordered bool) {
	t.Helper()
	if run == nil {
		return
	}
	var got []outcome
	run(t.Context(), tasks, limit, func(o outcome) bool {
		got = append(got, o)
		return true
	})
	if !ordered {
		slices.SortFunc(got, func(a, b outcome) int { return a.key - b.key })
	}
	require.Len(t, got, n)
	for i, o := range got {
		want := outcome{key: factor * i, value: i * i}
		if i == n/2 {
			want = outcome{key: factor * i, err: errBoom}
		}
		require.Equal(t, want, o)
	}
}

func TestFinishOrderIsTheOrderOfFinishing(t *testing.T) {
	eachJob(t, []int{0}, func(t *testing.T, p *peer, n, limit int) {
		if p.finish == nil || n < 2 {
			return
		}
		// Each task waits until the loop has seen the one after it.
		seen := make([]chan struct{}, n+1)
		for i := range seen {
			seen[i] = make(chan struct{})
		}
		close(seen[n])
		tasks := make([]task, n)
		for i := range tasks {
			tasks[i] = func(context.Context) (int, error) {
				<-seen[i+1]
				return i, nil
			}
		}
		want := n
		p.finish(t.Context(), tasks, limit, func(o outcome) bool {
			want--
			require.Equal(t, want, o.key)
			close(seen[o.key])
			return true
		})
		require.Zero(t, want)
	})
}

func TestAllKeepTheLimit(t *testing.T) {
	eachJob(t, []int{1, 3}, func(t *testing.T, p *peer, n, limit int) {
		var running, most atomic.Int64
		tasks := list(n, func(context.Context) (int, error) {
			raise(&most, running.Add(1))
			defer running.Add(-1)
			for range 10 {
				runtime.Gosched() // so that others run if they may
			}
			return 1, nil
		})
		take := func(outcome) bool { return true }
		_, err := p.collect(t.Context(), tasks, limit)
		require.NoError(t, err)
		if loop := p.loop(); loop != nil {
			loop(t.Context(), tasks, limit, take)
		}
		for _, loop := range []func(context.Context, iter.Seq2[int, task], int, func(outcome) bool){p.finishSeq, p.inOrderSeq} {
			if loop != nil {
				loop(t.Context(), sequence(n, makeTask("empty")), limit, take)
				loop(t.Context(), slices.All(tasks), limit, take)
			}
		}
		require.LessOrEqual(t, most.Load(), int64(limit))
	})
}

func TestEveryLoopCanBeLeft(t *testing.T) {
	eachJob(t, []int{1, 3}, func(t *testing.T, p *peer, n, limit int) {
		seen := 0
		leave := func(outcome) bool {
			seen++
			return false
		}
		loops := 0
		for _, loop := range []func(context.Context, []task, int, func(outcome) bool){p.finish, p.inOrder} {
			if loop != nil {
				loop(t.Context(), squares(n, -1), limit, leave)
				loops++
			}
		}
		for _, loop := range []func(context.Context, iter.Seq2[int, task], int, func(outcome) bool){p.finishSeq, p.inOrderSeq} {
			if loop != nil {
				loop(t.Context(), sequence(n, makeTask("empty")), limit, leave)
				loops++
			}
		}
		require.Equal(t, min(n, 1)*loops, seen)
	})
}
