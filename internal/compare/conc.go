package main

import (
	"context"
	"iter"

	"github.com/sourcegraph/conc/pool"
	"github.com/sourcegraph/conc/stream"
)

// concPool is github.com/sourcegraph/conc/pool. Its ResultPool does not keep
// the order of the input, so gather has slots of its own.
var concPool = peer{
	name:       "conc-pool",
	identity:   "what you capture",
	ownChannel: true,
	unfair:     "in gather the slots, in its loops the channel are our code",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		p := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError()
		if limit > 0 {
			p.WithMaxGoroutines(limit)
		}
		values := make([]int, len(tasks))
		for i, task := range tasks {
			p.Go(func(ctx context.Context) error {
				value, err := task(ctx)
				if err == nil {
					values[i] = value
				}
				return err
			})
		}
		return values, p.Wait()
	},
	finish: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		p := concStart(limit)
		byChannel(ctx, tasks, each, p.Go, p.Wait)
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		p := concStart(limit)
		byChannelSeq(ctx, tasks, limit, each, p.Go, p.Wait)
	},
	nested: func(inner func()) {
		p := concStart(1)
		outer := make(chan struct{})
		p.Go(func() {
			done := make(chan struct{})
			p.Go(func() { inner(); close(done) })
			<-done
			close(outer)
		})
		<-outer // Wait lets no task call Go any more: it panics
		p.Wait()
	},
}

func concStart(limit int) *pool.Pool {
	p := pool.New()
	if limit > 0 {
		p.WithMaxGoroutines(limit)
	}
	return p
}

// concStream is github.com/sourcegraph/conc/stream, as the README of conc
// uses it. It has no context and no errors; here both are closures' matter.
var concStream = peer{
	name:     "conc-stream",
	identity: "order, or capture",
	noErrors: true,
	unfair:   "has no context, no errors and no loop to leave: that is our code",
	inOrder: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		concEach(ctx, func(yield func(int, task) bool) {
			for i, task := range tasks {
				if !yield(i, task) {
					return
				}
			}
		}, limit, each)
	},
	inOrderSeq: concEach,
	nested: func(inner func()) {
		s := stream.New().WithMaxGoroutines(1)
		outer := make(chan struct{})
		s.Go(func() stream.Callback {
			done := make(chan struct{})
			s.Go(func() stream.Callback { inner(); close(done); return func() {} })
			<-done
			close(outer)
			return func() {}
		})
		<-outer
		s.Wait()
	},
}

func concEach(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := stream.New()
	if limit > 0 {
		s.WithMaxGoroutines(limit)
	}
	left := false // of the goroutine that runs the callbacks
	for key, task := range tasks {
		if ctx.Err() != nil {
			break
		}
		s.Go(func() stream.Callback {
			value, err := task(ctx)
			return func() {
				if !left && !each(outcome{key, value, err}) {
					left = true
					cancel()
				}
			}
		})
	}
	s.Wait()
}
