package main

import (
	"context"
	"iter"

	"golang.org/x/sync/errgroup"
)

// errgroupPeer is golang.org/x/sync/errgroup as its examples use it: Parallel
// for gather, Pipeline (a channel of results) for the loops.
var errgroupPeer = peer{
	name:       "errgroup",
	identity:   "what you capture",
	ownChannel: true,
	unfair:     "keeps no results: slots and channels are our code; its loops do not wait for the tasks when left",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		g, ctx := errgroup.WithContext(ctx)
		if limit > 0 {
			g.SetLimit(limit)
		}
		values := make([]int, len(tasks))
		for i, task := range tasks {
			g.Go(func() error {
				value, err := task(ctx)
				if err == nil {
					values[i] = value
				}
				return err
			})
		}
		return values, g.Wait()
	},
	finish: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		start, wait := errgroupStart(limit)
		byChannel(ctx, tasks, each, start, wait)
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		start, wait := errgroupStart(limit)
		byChannelSeq(ctx, tasks, limit, each, start, wait)
	},
	nested: func(inner func()) {
		start, wait := errgroupStart(1)
		start(func() {
			done := make(chan struct{})
			start(func() { inner(); close(done) })
			<-done
		})
		wait()
	},
}

// errgroupStart is for tasks whose errors go through the channel.
func errgroupStart(limit int) (start func(func()), wait func()) {
	g := new(errgroup.Group)
	if limit > 0 {
		g.SetLimit(limit)
	}
	start = func(f func()) {
		g.Go(func() error { f(); return nil })
	}
	return start, func() { must(g.Wait()) }
}
