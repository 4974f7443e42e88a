package main

import (
	"context"
	"iter"
	"sync"

	"github.com/alitto/pond/v2"
)

// The pools are made once, as pond's documentation does it: what belongs
// together is a group. A pool scales down to no goroutine.
var (
	pondResults = perLimit(func(limit int) pond.ResultPool[int] { return pond.NewResultPool[int](limit) })
	pondPools   = perLimit(func(limit int) pond.Pool { return pond.NewPool(limit) })
	pondBounded = perLimit(func(limit int) pond.Pool { return pond.NewPool(limit, pond.WithQueueSize(limit)) })
)

// pondPeer is github.com/alitto/pond/v2.
var pondPeer = peer{
	name:       "pond",
	identity:   "order, or capture",
	ownChannel: true,
	unfair:     "its pool is made before the measurement; in its finish-order loops the channel is our code",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		group := pondResults(limit).NewGroupContext(ctx)
		for _, task := range tasks {
			group.SubmitErr(func() (int, error) { return task(ctx) })
		}
		return group.Wait()
	},
	finish: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		byChannel(ctx, tasks, each, pondStart(pondPools(limit)), func() {})
	},
	inOrder: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		results := make([]pond.ResultTask[int], len(tasks))
		for i, task := range tasks {
			results[i] = pondResults(limit).SubmitErr(func() (int, error) { return task(ctx) })
		}
		for i, result := range results {
			value, err := result.Wait()
			if !each(outcome{i, value, err}) {
				return
			}
		}
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		start, wait := counted(pondStart(pondBounded(limit)))
		byChannelSeq(ctx, tasks, limit, each, start, wait)
	},
	nested: func(inner func()) {
		start := pondStart(pond.NewPool(1))
		var outer sync.WaitGroup
		outer.Add(1)
		start(func() {
			defer outer.Done()
			done := make(chan struct{})
			start(func() { inner(); close(done) })
			<-done
		})
		outer.Wait()
	},
}

func pondStart(p pond.Pool) func(func()) {
	return func(f func()) { must(p.Go(f)) } // it fails only if the pool is stopped
}
