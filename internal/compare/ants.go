package main

import (
	"context"
	"iter"
	"sync"

	"github.com/panjf2000/ants/v2"
)

// antsPools are made once, as the documentation of ants does it. Without a
// limit there is its default pool.
var antsPools = perLimit(func(limit int) func(func()) {
	if limit == 0 {
		return func(f func()) { must(ants.Submit(f)) } // it fails only if the pool is released
	}
	pool, err := ants.NewPool(limit)
	must(err)
	return func(f func()) { must(pool.Submit(f)) }
})

// antsPeer is github.com/panjf2000/ants/v2.
var antsPeer = peer{
	name:       "ants",
	identity:   "what you capture",
	ownChannel: true,
	noErrors:   true,
	unfair:     "its pool and workers are made before the measurement; it keeps no results and no errors and has no context: that is our code",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		start, wait := counted(antsPools(limit))
		values := make([]int, len(tasks))
		var failed error
		var once sync.Once
		for i, task := range tasks {
			start(func() {
				value, err := task(ctx)
				if err != nil {
					once.Do(func() { failed = err; cancel(err) })
					return
				}
				values[i] = value
			})
		}
		wait()
		return values, failed
	},
	finish: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		byChannel(ctx, tasks, each, antsPools(limit), func() {})
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		start, wait := counted(antsPools(limit))
		byChannelSeq(ctx, tasks, limit, each, start, wait)
	},
	nested: func(inner func()) {
		start, wait := counted(antsPools(1))
		start(func() {
			done := make(chan struct{})
			start(func() { inner(); close(done) })
			<-done
		})
		wait()
	},
}
