//go:build explore

package proof_test

import (
	"context"
	"errors"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/proof/explorer"
)

// settle is a call by Settle.
func settle(c *call) {
	w := newWorld(c)
	w.yielded = w.n // no body is called
	ctx, opts := w.start(c, false)
	var results []await.Result[int]
	w.protect(func() { results = await.Settle(ctx, w.tasks(c.do), opts...) })
	for i, r := range results {
		w.got[i]++
		w.received[i] = r.Err == nil
		w.outcome(i, r)
	}
	w.end()
	w.cause()
	if w.raised == nil && len(results) != w.n {
		explorer.Fail("%d results", len(results))
	}
}

// gather is a call by Gather.
func gather(c *call) {
	w := newWorld(c)
	w.gathers = true
	w.yielded = w.n // no body is called
	ctx, opts := w.start(c, false)
	var values []int
	var err error
	w.protect(func() { values, err = await.Gather(ctx, w.tasks(c.do), opts...) })
	for i, v := range values {
		if v != 0 && v != i+1 || v == 0 && w.value[i] && !w.detached || v != 0 && !w.value[i] {
			explorer.Fail("value %d is %d", i, v)
		}
		w.received[i] = v != 0
	}
	w.end()
	if w.raised == nil {
		w.gathered(values, err)
	} else {
		w.cause()
	}
}

// gathered checks the error of a Gather.
func (w *world) gathered(values []int, err error) {
	if len(values) != w.n {
		explorer.Fail("%d values", len(values))
	}
	if err == nil {
		for i := range values {
			if !w.value[i] {
				explorer.Fail("there is no error, and no value %d", i)
			}
		}
		w.cause()
		return
	}
	var failed *await.TaskError
	if !errors.As(err, &failed) || !same(failed, err) {
		explorer.Fail("the error is %v", err)
	}
	switch {
	case w.value[failed.Index] && !w.detached:
		explorer.Fail("task %d has not failed: %v", failed.Index, err)
	case errors.Is(err, await.ErrNotStarted):
		w.interrupted(err)
		if w.ran[failed.Index] > 0 && !w.detached {
			explorer.Fail("task %d has run: %v", failed.Index, err)
		}
	case same(failed.Err, errBoom) || same(failed.Err, await.ErrGoexit):
		if w.ran[failed.Index] == 0 {
			explorer.Fail("task %d has not run: %v", failed.Index, err)
		}
	case w.recovers && w.boom[failed.Index]:
	default: // of a task that was told to end by the caller's context, and by nothing else
		if !w.canceled || !errors.Is(err, w.why) {
			explorer.Fail("the error is %v", err)
		}
	}
	if w.ctx == nil {
		return
	}
	if cause := context.Cause(w.ctx); !same(cause, err) && (!w.canceled || !same(cause, w.why)) {
		explorer.Fail("the cause of the tasks' context is %v, not %v", cause, err)
	}
}
