//go:build !explore

package proof_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// oracle predicts how a scenario goes if the contract is kept. It knows nothing
// of goroutines, channels and locks: it is a list of what is to happen, and a
// clock that jumps from one moment to the next. At each moment, everything
// happens that the contract allows.
//
// The contract leaves some orders open. Where one of these would show, the
// oracle says so, and the generator makes another scenario:
//   - two things happen at the same moment, and neither causes the other
//   - when a sequence that waits in yield learns that the caller's context has
//     ended (see endCaller)
//   - whether a task that was offered and never starts yields before or after
//     the sequence has cleaned up
//   - whether a nil task that would not start panics, and what then runs of the
//     sequence
//   - whether a panic counts for Len if the Queue's task has already yielded
//     because of Detach, and the loop has not read that
//
// With Detach, values are discarded in no order. A panic of OnCancel's function
// does not end the loop, because it comes after the body's.
type oracle struct {
	*scenario
	history
	now         time.Duration
	events      []event
	callerEnded bool // the caller's context

	run      *run      // the present one
	ready    []int     // tasks that can start, in order; those of a Queue outlive the run
	finished []outcome // for the loop to take, in the order of finishing; they too
	yielded  int       // results
	inside   int       // tasks that hold a place of the limiter
	slots    []outcome // of Gather and Settle
	gathered []outcome // the successes among them, in the order of finishing

	feeder feeder // where the sequence is
	step   int    // the next one, or the one it is in
	asked  int    // the step that was asked for after the end of the caller's context; none
	waited bool   // it waited in yield when that ended

	discarded  int  // calls of OnDiscard's function
	crashes    bool // a panic that nobody waits for crashes the program
	coincident bool // two things happen at the same moment, so their order is open
	open       bool // the contract says nothing of what happens
}

// run is one run of a call: a range of its loop, or the call itself.
type run struct {
	second     bool   // loop over the Queue
	started    int    // tasks
	running    []int  // tasks, in the order of their starts
	cause      string // why the tasks' context has ended; "" while it has not
	leftBehind bool   // what runs has yielded already, or never will: Detach
	reading    bool   // the loop waits for a result
	left       bool   // the loop is being left, and waits
	over       bool   // control has left the loop

	raised  string   // the first panic of a task or of the sequence
	others  []string // that came later
	leftBy  ending   // how the body has left the loop
	hooked  bool     // all functions of OnCancel have returned
	spoiled string   // the first panic of those
	failed  string   // the error that Gather returns
}

type event struct {
	at time.Duration
	do func()
}

// feeder is where the sequence is.
type feeder int

const (
	inYield  feeder = iota // or has not begun
	inStep                 // towards the next task, or the end
	cleaning               // yield has returned false
	gone
)

// predict returns how s goes.
func (s *scenario) predict() *oracle {
	o := &oracle{scenario: s, run: &run{reading: true}, slots: make([]outcome, len(s.plans)), asked: none}
	first := o.run
	if s.expires != never {
		o.after(s.expires, func() { o.endCaller(first) })
	}
	for i, p := range s.plans {
		if s.kind.list() || s.kind == ofQueue && p.by == byCaller {
			o.ready = append(o.ready, i)
		} else if p.by == byOutside {
			o.after(p.when, func() { o.ready = append(o.ready, i) })
		}
	}
	o.goOn()
	for len(o.events) > 0 {
		next := o.events[0]
		o.events = o.events[1:]
		o.now = next.at
		next.do()
		o.goOn()
	}
	if s.kind == ofQueue {
		left := o.finished
		for _, i := range o.ready {
			left = append(left, outcome{key: i})
		}
		o.note(settled, "left in the queue: %+v", left)
	}
	return o
}

// useful reports whether the scenario can be compared with a performance.
func (o *oracle) useful() bool { return !o.crashes && !o.coincident && !o.open }

// after does f later, or at once if that takes no time.
func (o *oracle) after(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	at := o.now + d
	i, taken := slices.BinarySearchFunc(o.events, at, func(e event, at time.Duration) int { return cmp.Compare(e.at, at) })
	o.coincident = o.coincident || taken
	o.events = slices.Insert(o.events, i, event{at, f})
}

// goOn does what can be done at this moment.
func (o *oracle) goOn() {
	for o.pull() || o.take() || o.start() || o.end() {
	}
}

// roomy reports whether the limits allow one more task.
func (o *oracle) roomy() bool {
	running := len(o.run.running)
	return running < cmp.Or(o.limit, unlimited) && running+len(o.finished) < o.bound()
}

// start starts the next task.
func (o *oracle) start() bool {
	r := o.run
	if len(o.ready) == 0 || r.cause != "" || o.inside == cmp.Or(o.within, unlimited) ||
		!o.kind.sequence() && !o.roomy() { // a sequence's task was pulled when there was room
		return false
	}
	i := o.ready[0]
	o.ready = o.ready[1:]
	r.running = append(r.running, i)
	r.started++
	o.inside++
	o.note(o.now, "task %d starts", i)
	o.after(o.plans[i].lasts, func() {
		if r.cause == "" || o.plans[i].lingers == never {
			o.finish(r, i, o.plans[i].ends)
		}
	})
	return true
}

// finish is the end of a task.
func (o *oracle) finish(r *run, i int, how ending) {
	raised := how == panics && !o.recovers
	if !raised {
		o.add(byTask, i)
	}
	o.note(o.now, "task %d %v; its context: %q%s", i, how, r.cause, o.length())
	r.running = slices.DeleteFunc(r.running, func(j int) bool { return j == i })
	o.inside--
	if raised {
		// What counts, if it has an unread result because of Detach?
		o.open = o.open || o.kind == ofQueue && slices.ContainsFunc(o.finished, func(out outcome) bool { return out.key == i })
		o.panic(r, i, ofTask(i))
		return
	}
	out := outcome{key: i}
	switch how {
	case succeeds:
		out.value = valueOf(i)
	case fails:
		out.err = ofTask(i)
	case both:
		out.value, out.err = valueOf(i), ofTask(i)
	case givesUp:
		out.err = r.cause
	case panics:
		out.err = panicOf(i, ofTask(i))
	case exits:
		out.err = goexit
	}
	if r.leftBehind {
		o.discard(out)
	} else {
		o.finished = append(o.finished, out)
	}
	if o.kind == ofGather && out.err != "" {
		o.cancel(r, failureOf(i, out.err))
	}
}

// add gives the Queue its tasks of that kind.
func (o *oracle) add(by adder, which int) {
	for i, p := range o.plans {
		if o.kind == ofQueue && p.by == by && p.which == which {
			o.ready = append(o.ready, i)
		}
	}
}

// cancel ends the tasks' context, unless it has ended. OnCancel is called, and
// tasks that watch the context end.
func (o *oracle) cancel(r *run, cause string) {
	if r.cause != "" {
		return
	}
	r.cause = cause
	for _, i := range r.running {
		if p := o.plans[i]; p.lingers != never {
			o.after(p.lingers, func() { o.finish(r, i, p.gives) })
		}
	}
	if o.feeder == inStep && o.woken() {
		o.ended()
	}
	o.hook(r, 0)
}

// endCaller ends the caller's context. The contract does not say when a
// sequence that waits in yield learns of it: at once, or when something else
// happens. So from now on its steps are not noted, and its end has no moment.
func (o *oracle) endCaller(r *run) {
	o.callerEnded = o.callerEnded || !r.over
	o.waited = o.waited || r.cause == "" && o.feeder == inYield && o.step > 0
	o.cancel(r, theCaller)
}

// hook calls the functions of OnCancel, one after the other, from that one on.
func (o *oracle) hook(r *run, i int) {
	if i == len(o.hooks) {
		r.hooked = true
		return
	}
	o.note(o.now, "OnCancel %d is called", i)
	o.after(o.hooks[i].lasts, func() {
		if o.hooks[i].ends == panics {
			r.spoiled = cmp.Or(r.spoiled, panicOf(nil, ofHook))
		}
		o.hook(r, i+1)
	})
}

// panic is a panic of a task, or of the sequence with a nil key. After the end
// it would crash the program.
func (o *oracle) panic(r *run, key any, value string) {
	o.crashes = o.crashes || r.over
	if r.raised == "" {
		r.raised = panicOf(key, value)
	} else if strings.HasPrefix(value, boomPrefix) {
		r.others = append(r.others, value)
	}
	o.cancel(r, panicOf(key, value))
}

// pull has the sequence make its next step: when a task can start, and none
// waits for its place in the limiter. When the tasks' context has ended, the
// sequence is left, but perhaps after one step more.
func (o *oracle) pull() bool {
	if !o.kind.sequence() || o.feeder != inYield {
		return false
	}
	switch r := o.run; {
	case r.cause == "":
		if len(o.ready) > 0 || !o.roomy() {
			return false
		}
	case o.cutShort() && !o.detach && o.asked == none && len(o.ready) == 0:
		o.asked = o.step
		o.open = o.open || o.waited && o.steps[o.step]+o.cleanup > 0 // when does it begin?
	case o.step == 0: // it has not begun
		o.feeder = gone
		return true
	default:
		o.open = o.open || o.waited && o.cleanup > 0 // when does that begin?
		o.cleanUp()
		return true
	}
	k := o.step
	if !o.callerEnded {
		o.note(o.now, "step %d", k)
	}
	o.feeder = inStep
	if o.steps[k] > 0 && o.woken() {
		o.ended()
		return true
	}
	o.after(o.steps[k], func() {
		if o.feeder == inStep { // else it was woken
			o.stepped(k)
		}
	})
	return true
}

// cutShort reports whether the loop goes on though the caller's context has
// ended.
func (o *oracle) cutShort() bool {
	return o.run.cause == theCaller && o.run.raised == "" && !o.run.left
}

// woken reports whether OnCancel has woken the sequence.
func (o *oracle) woken() bool { return o.wakes && o.run.cause != "" }

// stepped is the end of step k.
func (o *oracle) stepped(k int) {
	o.step++
	o.feeder = inYield
	r := o.run
	switch {
	case k == o.breaks:
		// Is a task that will not start checked? Does the check panic in the sequence?
		o.open = o.open || o.broken == fails && (r.cause != "" || o.cleanup > 0)
		o.ended()
		switch o.broken {
		case panics:
			o.panic(r, nil, ofStep)
		case exits:
			o.panic(r, nil, goexit)
		case fails:
			o.panic(r, nil, nilTask(k))
		}
	case k == len(o.plans):
		o.ended()
	case r.cause == "" || o.cutShort() && !o.detach:
		o.ready = append(o.ready, k)
	}
}

// cleanUp is what the sequence does when yield has returned false.
func (o *oracle) cleanUp() {
	o.feeder = cleaning
	o.after(o.cleanup, func() {
		o.ended()
		switch o.cleaned {
		case panics:
			o.panic(o.run, nil, ofCleanup)
		case exits:
			o.panic(o.run, nil, goexit)
		case fails:
			o.panic(o.run, nil, yieldsAgain)
		}
	})
}

// ended is the end of the sequence.
func (o *oracle) ended() {
	o.feeder = gone
	at := o.now
	if o.callerEnded {
		at = settled
	}
	o.note(at, "the sequence has ended")
}

// take lets the loop have its next result, or end.
func (o *oracle) take() bool {
	r := o.run
	if !r.reading {
		return false
	}
	next := 0
	if o.kind.ordered() {
		next = slices.IndexFunc(o.finished, func(out outcome) bool { return out.key == o.yielded })
	}
	running := len(r.running) > 0 && !r.leftBehind
	ended := r.cause != ""
	switch {
	case r.raised != "": // a panic is ahead of results that wait
		o.leave()
	case next >= 0 && next < len(o.finished):
		out := o.finished[next]
		o.finished = slices.Delete(o.finished, next, next+1)
		o.yield(out)
	case running && ended && o.detach: // it is not waited for, and yields at once
		r.leftBehind = true
		for _, i := range r.running {
			o.finished = append(o.finished, outcome{i, 0, leftBehind(r.cause)})
		}
	case running: // it is waited for
		return false
	case o.feeder == inStep && (!ended || !o.detach): // so is a step
		return false
	case !ended && (len(o.ready) > 0 || o.kind.sequence() && o.feeder != gone): // more will run
		return false
	case ended && len(o.ready) > 0 && o.kind != ofQueue: // never ran
		o.open = o.open || o.feeder == cleaning // which comes first?
		i := o.ready[0]
		o.ready = o.ready[1:]
		o.yield(outcome{i, 0, notStarted(r.cause)})
	default:
		o.leave()
	}
	return true
}

// yield gives the loop a result.
func (o *oracle) yield(out outcome) {
	n := o.yielded
	o.yielded++
	r := o.run
	if !o.kind.loops() {
		o.slots[out.key] = out
		if out.err == "" {
			o.gathered = append(o.gathered, out)
		} else {
			r.failed = cmp.Or(r.failed, failureOf(out.key, out.err))
		}
		return
	}
	o.note(o.now, "result %d: %+v%s", n, out, o.length())
	r.reading = false
	o.after(o.bodies[n], func() {
		if o.kind == ofQueue {
			o.note(o.now, "after result %d%s", n, o.length())
		}
		if n == o.cancels && !r.second {
			o.endCaller(r)
		}
		r.reading = true
		if n == o.leaves {
			r.leftBy = o.how
			o.leave()
			return
		}
		o.add(byBody, n)
	})
}

// length is Len of the Queue, if there is one.
func (o *oracle) length() string {
	if o.kind != ofQueue {
		return ""
	}
	n := len(o.ready) + len(o.finished)
	if !o.run.leftBehind {
		n += len(o.run.running)
	}
	return fmt.Sprintf("; queued: %d", n)
}

// leave begins the loop's end.
func (o *oracle) leave() {
	o.run.reading, o.run.left = false, true
	o.cancel(o.run, stopped)
}

// end is the loop's end, when nothing of it runs: with Detach, tasks and a step
// of the sequence may.
func (o *oracle) end() bool {
	r := o.run
	if !r.left || r.over || !r.hooked || len(r.running) > 0 && !o.detach ||
		o.kind.sequence() && o.feeder != gone && (o.feeder != inStep || !o.detach) {
		return false
	}
	r.over = true
	r.leftBehind = true
	raised := r.raised
	if r.leftBy == panics && !o.pulled {
		raised = cmp.Or(raised, ofBody)
	}
	raised = o.discardUnread(cmp.Or(raised, r.spoiled))
	if r.leftBy == panics { // stop of iter.Pull2 does not know of it
		raised = cmp.Or(raised, ofBody)
	}
	switch {
	case raised != "":
		slices.Sort(r.others)
		o.note(o.now, "the call raises %s, along with %v", raised, r.others)
	case o.kind == ofGather:
		o.note(o.now, "the call returns %v %q", values(o.slots), r.failed)
	case o.kind == ofSettle:
		o.note(o.now, "the call returns %+v", o.slots)
	}
	if r.leftBy == exits {
		o.note(o.now, "the call's goroutine exits")
	}
	if r.started > 0 {
		o.note(o.now, "the tasks' context has ended: %q", r.cause)
	}
	o.note(o.now, "the call ends%s", o.length())
	if o.again && !r.second {
		o.run = &run{second: true, reading: true}
	}
	return true
}

// discardUnread discards what has not reached the caller, and returns what the
// call raises then.
func (o *oracle) discardUnread(raised string) string {
	if o.keeps() {
		return raised
	}
	unread := o.finished
	o.finished = nil
	if raised != "" { // nor has what Gather and Settle would have returned
		unread = slices.Concat(o.gathered, unread)
	}
	for _, out := range unread {
		if o.discard(out) {
			raised = cmp.Or(raised, panicOf(nil, ofDiscard))
		}
	}
	return raised
}

// discard gives a value to OnDiscard, and reports whether that panics.
func (o *oracle) discard(out outcome) (spoiled bool) {
	if !o.discards || out.err != "" {
		return false
	}
	n := o.discarded
	o.discarded++
	if o.detach { // perhaps several at once
		o.note(o.now, "value %d is discarded", out.value)
	} else {
		o.note(o.now, "discard %d: value %d", n, out.value)
	}
	return n == o.spoiled
}

// values are those that Gather returns.
func values(slots []outcome) []int {
	list := make([]int, len(slots))
	for i, out := range slots {
		if out.err == "" {
			list[i] = out.value
		}
	}
	return list
}
