//go:build !explore

package proof_test

import (
	"cmp"
	"context"
	"iter"
	"runtime"
	"time"

	"github.com/ascompleted/await"
)

// What the user of the library brings to a scenario: options with their
// functions, the body of the loop, tasks, and the sequence.

func (p *performance) options(r *performedRun) []await.Option {
	var opts []await.Option
	for _, o := range []struct {
		given bool
		opt   func() await.Option
	}{
		{p.limit > 0, func() await.Option { return await.Limit(p.limit) }},
		{p.buffer != unset, func() await.Option { return await.Buffer(p.buffer) }},
		{p.within > 0, func() await.Option { return await.Within(p.limiter) }},
		{p.detach, await.Detach},
		{p.recovers, await.Recover},
		{p.named, func() await.Option { return await.Name("scenario") }},
		{p.discards, func() await.Option { return await.OnDiscard(func(value int) { p.discard(r, value) }) }},
	} {
		if o.given {
			opts = append(opts, o.opt())
		}
	}
	for i := range p.hooks {
		opts = append(opts, await.OnCancel(func() { p.hook(r, i) }))
	}
	return opts
}

// body is the loop's body. It reports whether the loop goes on.
func (p *performance) body(r *performedRun, key int, result await.Result[int]) bool {
	p.mu.Lock()
	got := outcome{key, result.Value, p.name(result.Err)}
	n := len(p.results)
	p.results = append(p.results, got)
	p.noteNow("result %d: %+v%s", n, got, p.length())
	ran := got.err != notStarted(theCaller)
	abandoned := got.err == leftBehind(theCaller) // it may be about to start, or still be writing
	if ran != (p.starts[key] > 0) && !abandoned {
		p.complain("task %d has started %d times, and its error is %q", key, p.starts[key], got.err)
	}
	if ran {
		p.unread--
	}
	if p.unread > p.bound() && (!r.second || !p.detach) { // what the first loop has left behind counts as yielded
		p.complain("%d tasks are started and not yielded", p.unread)
	}
	p.mu.Unlock()
	if ran && !abandoned && got != p.returned[key] {
		p.complain("task %d has returned %+v, and yields %+v", key, p.returned[key], got)
	}
	p.pause(p.bodies[n], nil)
	if p.kind == ofQueue {
		p.write("after result %d%s", n, p.length())
	}
	if n == p.cancels {
		p.cancel(errCaller)
	}
	if n == p.leaves {
		return false
	}
	p.add(byBody, n)
	return true
}

// task is a task as planned.
func (p *performance) task(i int) await.Task[int] {
	plan := p.plans[i]
	return func(ctx context.Context) (int, error) {
		if p.closed.Load() {
			return 0, nil
		}
		r := p.enter(ctx, i)
		how := plan.ends
		var done <-chan struct{}
		if plan.lingers != never {
			done = ctx.Done()
		}
		if interrupted := p.pause(plan.lasts, done); interrupted {
			p.pause(plan.lingers, nil)
			how = plan.gives
		}
		if how != panics || p.recovers {
			p.add(byTask, i)
		}
		return p.exit(ctx, r, i, how)
	}
}

// enter is the start of a task.
func (p *performance) enter(ctx context.Context, i int) *performedRun {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteNow("task %d starts", i)
	r := ctx.Value(runKey{}).(*performedRun)
	r.task = ctx
	r.running++
	p.inside++
	p.starts[i]++
	p.unread++
	if r.running > cmp.Or(p.limit, unlimited) {
		p.complain("%d tasks run, with a limit of %d", r.running, p.limit)
	}
	if p.inside > cmp.Or(p.within, unlimited) {
		p.complain("%d tasks run, within a limiter of %d", p.inside, p.within)
	}
	if r.over && !p.detach {
		p.complain("task %d starts after the end", i)
	}
	return r
}

// exit is the end of a task.
func (p *performance) exit(ctx context.Context, r *performedRun, i int, how ending) (value int, err error) {
	cause := context.Cause(ctx)
	failure := p.boom(ofTask(i))
	switch how {
	case succeeds:
		value = valueOf(i)
	case fails:
		err = failure
	case both:
		value, err = valueOf(i), failure
	case givesUp:
		err = cause
	case panics:
		err = &await.PanicError{Key: i, Value: failure}
	case exits:
		err = await.ErrGoexit
	}
	p.mu.Lock()
	r.running--
	p.inside--
	p.succeeded[i] = how == succeeds
	if how == panics && !p.recovers {
		p.failures = append(p.failures, failure.what)
		p.unread--
	}
	p.noteNow("task %d %v; its context: %q%s", i, how, p.name(cause), p.length())
	p.mu.Unlock()
	p.returned[i] = outcome{i, value, p.name(err)} // after the mutex, which would make it visible
	switch how {
	case panics:
		panic(failure)
	case exits:
		runtime.Goexit()
	}
	return value, err
}

// sequence is the sequence of the tasks.
func (p *performance) sequence(r *performedRun) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		p.feeding(r, true)
		defer p.feeding(r, false)
		for ; ; p.stepped++ {
			k := p.stepped
			p.beginStep(k)
			if interrupted := p.pause(p.steps[k], p.woken); interrupted {
				return
			}
			var task await.Task[int]
			switch k {
			case p.breaks:
				p.breakStep(k)
			case len(p.plans):
				return
			default:
				task = p.task(k)
			}
			p.offer()
			if !yield(k, task) {
				p.cleanUp(yield)
				return
			}
		}
	}
}

// feeding is the begin or the end of the sequence.
func (p *performance) feeding(r *performedRun, begins bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.feeding = begins
	switch {
	case begins:
	case p.callerEnded():
		p.note(settled, "the sequence has ended")
	default:
		p.noteNow("the sequence has ended")
	}
}

// beginStep is the begin of a step of the sequence.
func (p *performance) beginStep(k int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.callerEnded() {
		p.noteNow("step %d", k)
	} else if p.asked++; p.asked > 1 {
		p.complain("step %d is one too many after the end of the caller's context", k)
	}
}

// callerEnded reports whether the caller's context has ended.
func (p *performance) callerEnded() bool {
	return context.Cause(p.caller) == errCaller //nolint:errorlint // the very cause
}

// offer counts the tasks of the sequence.
func (p *performance) offer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offered++
}

// breakStep fails, unless it is the nil task that does.
func (p *performance) breakStep(k int) {
	switch p.broken {
	case panics:
		p.fail(ofStep)
		panic(p.boom(ofStep))
	case exits:
		p.fail(goexit)
		runtime.Goexit()
	case fails:
		p.fail(nilTask(k))
	}
}

// cleanUp is what the sequence does when yield has returned false.
func (p *performance) cleanUp(yield func(int, await.Task[int]) bool) {
	p.pause(p.cleanup, nil)
	switch p.cleaned {
	case panics:
		p.fail(ofCleanup)
		panic(p.boom(ofCleanup))
	case exits:
		p.fail(goexit)
		runtime.Goexit()
	case fails:
		p.fail(yieldsAgain)
		yield(none, p.task(0))
	}
}

// fail registers a panic of the sequence.
func (p *performance) fail(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, what)
}

// hook is a function given to OnCancel.
func (p *performance) hook(r *performedRun, i int) {
	p.mu.Lock()
	p.noteNow("OnCancel %d is called", i)
	if want := r.hooks; i != want || r.hooked != want {
		p.complain("OnCancel %d is called, and it is time for %d; %d have ended", i, want, r.hooked)
	}
	r.hooks++
	if r.over {
		p.complain("OnCancel %d is called after the end", i)
	}
	p.mu.Unlock()
	if i == 0 && p.wakes {
		close(p.woken)
	}
	p.pause(p.hooks[i].lasts, nil)
	p.mu.Lock()
	r.hooked++
	p.mu.Unlock()
	switch p.hooks[i].ends {
	case panics:
		panic(p.boom(ofHook))
	case exits:
		runtime.Goexit()
	}
}

// discard is the function given to OnDiscard.
func (p *performance) discard(r *performedRun, value int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.discarded)
	p.discarded = append(p.discarded, value)
	if p.detach { // perhaps several at once
		p.noteNow("value %d is discarded", value)
	} else {
		p.noteNow("discard %d: value %d", n, value)
		if r.running > 0 || r.feeding || r.hooked < len(p.hooks) || r.over {
			p.complain("value %d is discarded while something runs, or after the end", value)
		}
	}
	if n == p.spoiled {
		panic(p.boom(ofDiscard))
	}
}

// add gives the Queue its tasks of that kind.
func (p *performance) add(by adder, which int) {
	for i, plan := range p.plans {
		if p.kind == ofQueue && plan.by == by && plan.which == which {
			p.addTask(i)
		}
	}
}

// addTask adds a task to the Queue.
func (p *performance) addTask(i int) {
	p.mu.Lock()
	p.added[i] = true
	p.mu.Unlock()
	p.queue.Add(i, p.task(i))
}

// later does f at a moment; at once if that is 0.
func (p *performance) later(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	p.outside.Go(func() {
		p.pause(d, nil)
		f()
	})
}

// pause takes time, but ends when done does, and reports that.
func (p *performance) pause(d time.Duration, done <-chan struct{}) (interrupted bool) {
	if d < time.Microsecond && (p.real || d == 0) {
		for range d {
			select {
			case <-done:
				return true
			default:
				runtime.Gosched()
			}
		}
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-done:
		return true
	}
}
