package main

import (
	"context"
	"iter"
	"sync"

	"github.com/ascompleted/await"
)

// task is what every peer runs. It is not generic, so that no peer pays for a
// conversion.
type task = await.Task[int]

// outcome is what one task returned, with its index in the list or its key in
// the sequence.
type outcome struct {
	key   int
	value int
	err   error
}

// peer is one way to run tasks at the same time. A job that it does not offer
// is nil. A limit of 0 is none.
type peer struct {
	name string

	// gather returns the values in input order, or the first error.
	gather func(ctx context.Context, tasks []task, limit int) ([]int, error)

	// finish and inOrder call each for every outcome, in the order of
	// finishing or of the input, until each returns false.
	finish  func(ctx context.Context, tasks []task, limit int, each func(outcome) bool)
	inOrder func(ctx context.Context, tasks []task, limit int, each func(outcome) bool)

	// finishSeq and inOrderSeq do so for a sequence; they need a limit.
	finishSeq  func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool)
	inOrderSeq func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool)

	// queue does so for tasks that are added: all by fill before the loop, or
	// by tasks that run.
	queue func(ctx context.Context, fill func(add func(int, task)), limit int, each func(outcome) bool)

	// nested runs a task under a limit of 1, which runs inner under the same
	// limit and waits for it. It is nil if calls cannot share a limit.
	nested func(inner func())

	noLimit    bool   // gather takes no limit
	noErrors   bool   // the library's functions return no errors; what one stops is our code
	ownChannel bool   // finish and finishSeq are the library's pool and a channel of our own
	identity   string // how one learns which task a result is of
	unfair     string // what a comparison with it leaves out
}

// peers are all, in the order of the tables.
func peers() []peer {
	return []peer{idiom, errgroupPeer, concPool, concStream, pondPeer, antsPeer, loPeer, juniper, awaitPeer}
}

// collect is gather or, for peers that have only that, inOrder into a slice.
func (p *peer) collect(ctx context.Context, tasks []task, limit int) ([]int, error) {
	if p.gather != nil {
		return p.gather(ctx, tasks, limit)
	}
	values := make([]int, 0, len(tasks))
	var err error
	p.inOrder(ctx, tasks, limit, func(o outcome) bool {
		values = append(values, o.value)
		err = o.err
		return err == nil
	})
	return values, err
}

// loop is finish or, for peers that have only that, inOrder; nil if it has
// neither.
func (p *peer) loop() func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
	if p.finish != nil {
		return p.finish
	}
	return p.inOrder
}

// loopSeq is finishSeq or inOrderSeq.
func (p *peer) loopSeq() func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
	if p.finishSeq != nil {
		return p.finishSeq
	}
	return p.inOrderSeq
}

// byChannel is what one writes around a library that runs functions but hands
// over no results as they come: a channel with room for all. start runs a
// function, and wait waits for all of them.
func byChannel(ctx context.Context, tasks []task, each func(outcome) bool, start func(func()), wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan outcome, len(tasks))
	go func() { // start may block
		defer wait()
		for i, task := range tasks {
			if ctx.Err() != nil {
				return
			}
			start(func() {
				value, err := task(ctx)
				results <- outcome{i, value, err}
			})
		}
	}()
	for range tasks {
		if !each(<-results) {
			return
		}
	}
}

// byChannelSeq is byChannel for a sequence.
func byChannelSeq(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool, start func(func()), wait func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan outcome, limit)
	go func() {
		defer close(results)
		defer wait()
		for key, task := range tasks {
			if ctx.Err() != nil {
				return
			}
			start(func() {
				value, err := task(ctx)
				select {
				case results <- outcome{key, value, err}:
				case <-ctx.Done():
				}
			})
		}
	}()
	for result := range results {
		if !each(result) {
			return
		}
	}
}

// counted adds to start a wait for all that was started.
func counted(start func(func())) (countedStart func(func()), wait func()) {
	var group sync.WaitGroup
	return func(f func()) {
		group.Add(1)
		start(func() {
			defer group.Done()
			f()
		})
	}, group.Wait
}

// perLimit makes one pool for each limit and keeps it, for libraries whose
// documentation says that a pool is made once and used again.
func perLimit[Pool any](create func(limit int) Pool) func(limit int) Pool {
	var mu sync.Mutex
	pools := make(map[int]Pool)
	return func(limit int) Pool {
		mu.Lock()
		defer mu.Unlock()
		pool, ok := pools[limit]
		if !ok {
			pool = create(limit)
			pools[limit] = pool
		}
		return pool
	}
}
