package await_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A scenario is one call with everything that happens around it. What it comes
// to is foretold by an oracle and performed on a stage; the two must agree.
type scenario struct {
	name  string // for those who read of a failure
	kind  kind
	plans []plan // of the tasks; a task's key is its index

	limit    int  // 0: none
	buffer   int  // -1: the default
	within   int  // places of the limiter; 0: none
	detach   bool // and so on: the options
	recovers bool
	named    bool

	expires time.Duration // when the caller's context ends; 0: before the call; never

	// The body of the loop.
	bodies  []time.Duration // how long it takes over each result
	cancels int             // the result with which it ends the caller's context; never
	leaves  int             // the result with which it leaves the loop; never
	how     ending          // it does: succeeds is a break
	pulled  bool            // the loop is one over iter.Pull2

	// The sequence.
	steps  []time.Duration // how long it takes before each task, and before its end
	breaks int             // the step that fails; never
	broken ending          // how: panics, exits, or fails by a nil task
}

const never = -1

// curtainCall is when all of a scenario has come to its end.
const curtainCall = 10000 * time.Hour

type kind int

const (
	ofAsCompleted kind = iota
	ofInOrder
	ofGather
	ofSettle
	ofAsCompletedSeq
	ofInOrderSeq
	ofQueue
	kinds int = iota
)

func (k kind) String() string {
	return [...]string{"AsCompleted", "InOrder", "Gather", "Settle", "AsCompletedSeq", "InOrderSeq", "Queue"}[k]
}

func (k kind) ordered() bool  { return k == ofInOrder || k == ofInOrderSeq }
func (k kind) sequence() bool { return k == ofAsCompletedSeq || k == ofInOrderSeq }
func (k kind) list() bool     { return k <= ofSettle }
func (k kind) loops() bool    { return k != ofGather && k != ofSettle }

// A plan is what a task does. It ends by itself, or when its context has.
type plan struct {
	lasts   time.Duration // if its context does not end before
	ends    ending
	lingers time.Duration // how long it goes on when its context has ended; never: it does not look
	gives   ending        // how it ends then

	// Of a queue's task: who adds it, and which or when. A task that panics, and
	// a body that leaves, add nothing, because what they added could start
	// before the others hear of the end.
	by    adder
	which int
	when  time.Duration
}

// ending is how a task ends.
type ending int

const (
	succeeds ending = iota
	fails
	both // a value and an error
	givesUp
	panics
	exits // by runtime.Goexit
)

func (e ending) String() string {
	return [...]string{"succeeds", "fails", "returns value and error", "gives up", "panics", "calls Goexit"}[e]
}

// adder is who adds a task to a queue.
type adder int

const (
	byCaller  adder = iota // before the loop
	byTask                 // the one with the index, as it ends
	byBody                 // when it is through with the result of that number
	byOutside              // at a moment
)

// bound is how many tasks may be started and not yet yielded.
func (s *scenario) bound() int {
	limit := cmp.Or(s.limit, s.within, unlimited)
	switch {
	case limit == unlimited, !s.kind.loops(), s.kind.list() && s.buffer == -1:
		return unlimited
	case s.buffer == -1:
		return 2 * limit
	}
	return limit + s.buffer
}

const unlimited = math.MaxInt

// chronicle is what happens in a scenario. Lines of the same moment have no
// order, so those that need one have a number in them.
type chronicle struct{ lines []line }

type line struct {
	at   time.Duration
	what string
}

func (l line) compare(other line) int {
	return cmp.Or(cmp.Compare(l.at, other.at), strings.Compare(l.what, other.what))
}

func (l line) String() string { return fmt.Sprintf("%v %s", l.at, l.what) }

func (c *chronicle) note(at time.Duration, format string, args ...any) {
	c.lines = append(c.lines, line{at, fmt.Sprintf(format, args...)})
}

func (c *chronicle) String() string { return c.diff(&chronicle{}) }

func (c *chronicle) sorted() []line {
	return slices.SortedFunc(slices.Values(c.lines), line.compare)
}

// outturn is what one task came to: its value, and its error in words.
type outturn struct {
	key   int
	value int
	err   string
}

// oracle tells how a scenario goes if the contract is kept. It knows nothing of
// goroutines, channels and locks: it is a list of what is to happen, and a
// clock that jumps from one moment to the next. At each moment all goes on that
// the contract lets go on.
type oracle struct {
	*scenario
	chronicle
	now    time.Duration
	agenda []event

	ready    []int // tasks that can start, in order
	started  int
	running  []int     // in the order of their starts
	finished []outturn // for the loop to take, in the order of finishing
	deserted bool      // what runs has yielded already: Detach
	cause    string    // why the tasks' context has ended; "" while it has not

	step   int  // of the sequence, the next one or the one it is in
	inStep bool // the sequence is in the middle of it
	dry    bool // the sequence has ended

	yielded int
	reading bool      // the loop waits for a result
	left    bool      // the loop is being left, and waits for what runs
	over    bool      // control has left the loop
	raised  string    // what the call panics with
	others  int       // panics that came later
	leftBy  ending    // how the body has left the loop
	slots   []outturn // what Gather and Settle return
	failed  string    // the error that Gather returns

	crashes    bool // a panic after the end crashes the program
	coincident bool // two things happen at the same moment, so their order is open
}

type event struct {
	at time.Duration
	do func()
}

// foretell tells how s goes.
func (s *scenario) foretell() *oracle {
	o := &oracle{scenario: s, reading: true, slots: make([]outturn, len(s.plans))}
	if s.expires != never {
		o.after(s.expires, func() { o.cancel("the caller") })
	}
	for i, p := range s.plans {
		if s.kind.list() || s.kind == ofQueue && p.by == byCaller {
			o.ready = append(o.ready, i)
		} else if p.by == byOutside {
			o.after(p.when, func() { o.ready = append(o.ready, i) })
		}
	}
	o.goOn()
	for len(o.agenda) > 0 {
		next := o.agenda[0]
		o.agenda = o.agenda[1:]
		o.now = next.at
		next.do()
		o.goOn()
	}
	if s.kind == ofQueue {
		o.note(curtainCall, "still queued: %v", o.ready)
	}
	return o
}

// after puts f on the agenda, or does it if it takes no time.
func (o *oracle) after(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	at := o.now + d
	i, taken := slices.BinarySearchFunc(o.agenda, at, func(e event, at time.Duration) int { return cmp.Compare(e.at, at) })
	o.coincident = o.coincident || taken
	o.agenda = slices.Insert(o.agenda, i, event{at, f})
}

// goOn does what can be done at this moment.
func (o *oracle) goOn() {
	for o.take() || o.pull() || o.start() || o.depart() {
	}
}

// open reports whether the limits allow one more task. One that finishes when
// the buffer is full keeps its place under the limit.
func (o *oracle) open() bool {
	return o.cause == "" &&
		len(o.running) < cmp.Or(o.limit, unlimited) &&
		len(o.running)+len(o.finished) < o.bound()
}

// pull has the sequence make its next step: one at a time, when a task can start,
// and when none waits for its place in the limiter.
func (o *oracle) pull() bool {
	if !o.kind.sequence() || o.inStep || o.dry || len(o.ready) > 0 || !o.open() {
		return false
	}
	o.note(o.now, "step %d", o.step)
	o.inStep = true
	o.after(o.steps[o.step], o.stepped)
	return true
}

// stepped is the end of a step.
func (o *oracle) stepped() {
	k := o.step
	o.step++
	o.inStep = false
	broken := k == o.breaks
	switch {
	case o.over: // it has not held up the end, and is cleaned up now
		o.note(o.now, "the sequence is left")
	case k == len(o.plans):
		o.dry = true
	case !broken && o.cause == "":
		o.ready = append(o.ready, k)
	}
	if broken {
		o.panic(map[ending]string{
			panics: boomed(never),
			exits:  "Goexit",
			fails:  fmt.Sprintf("await: the sequence's task %d is nil", k),
		}[o.broken])
	}
}

// start starts the next task.
func (o *oracle) start() bool {
	if len(o.ready) == 0 || o.cause != "" || len(o.running) == cmp.Or(o.within, unlimited) ||
		!o.kind.sequence() && !o.open() {
		return false
	}
	i := o.ready[0]
	o.ready = o.ready[1:]
	o.running = append(o.running, i)
	o.started++
	o.note(o.now, "task %d starts", i)
	o.after(o.plans[i].lasts, func() {
		if o.cause == "" || o.plans[i].lingers == never {
			o.finish(i, o.plans[i].ends)
		}
	})
	return true
}

// cancel ends the tasks' context, unless it has ended. Those that look at it wind
// up.
func (o *oracle) cancel(cause string) {
	if o.cause != "" {
		return
	}
	o.cause = cause
	for _, i := range o.running {
		if p := o.plans[i]; p.lingers != never {
			o.after(p.lingers, func() { o.finish(i, p.gives) })
		}
	}
}

// finish is the end of a task.
func (o *oracle) finish(i int, how ending) {
	o.note(o.now, "task %d %v; its context: %q", i, how, o.cause)
	o.running = slices.DeleteFunc(o.running, func(j int) bool { return j == i })
	if how == panics && !o.recovers {
		o.panic(boomed(i))
		return
	}
	o.add(byTask, i)
	r := outturn{key: i}
	switch how {
	case succeeds:
		r.value = worth(i)
	case fails:
		r.err = boomed(i)
	case both:
		r.value, r.err = worth(i), boomed(i)
	case givesUp:
		r.err = o.cause
	case panics:
		r.err = "panic: " + boomed(i)
	case exits:
		r.err = "Goexit"
	}
	if !o.deserted {
		o.finished = append(o.finished, r)
	}
	if o.kind == ofGather && r.err != "" {
		o.cancel(fmt.Sprintf("task %d: %s", i, r.err))
	}
}

// add adds what the queue is given by whom.
func (o *oracle) add(by adder, which int) {
	for i, p := range o.plans {
		if o.kind == ofQueue && p.by == by && p.which == which {
			o.ready = append(o.ready, i)
		}
	}
}

// panic is a panic of a task or of the sequence.
func (o *oracle) panic(value string) {
	o.crashes = o.crashes || o.over
	if o.raised == "" {
		o.raised = "panic: " + value
	} else {
		o.others++
	}
	o.cancel("panic: " + value)
}

// take lets the loop have its next result, or end.
func (o *oracle) take() bool {
	if !o.reading {
		return false
	}
	next := 0
	if o.kind.ordered() {
		next = slices.IndexFunc(o.finished, func(r outturn) bool { return r.key == o.yielded })
	}
	running := len(o.running) > 0 && !o.deserted
	ended := o.cause != ""
	switch {
	case o.raised != "": // a panic is ahead of results that wait
		o.leave()
	case next >= 0 && next < len(o.finished):
		r := o.finished[next]
		o.finished = slices.Delete(o.finished, next, next+1)
		o.yield(r)
	case running && ended && o.detach: // it is not waited for, and yields at once
		o.deserted = true
		for _, i := range o.running {
			o.finished = append(o.finished, outturn{i, 0, o.cause})
		}
	case running: // it is waited for
		return false
	case !ended && (len(o.ready) > 0 || o.kind.sequence() && !o.dry): // more will run
		return false
	case ended && len(o.ready) > 0 && o.kind.list(): // never ran
		i := o.ready[0]
		o.ready = o.ready[1:]
		o.yield(outturn{i, 0, "not started: " + o.cause})
	default:
		o.leave()
	}
	return true
}

// yield gives the loop a result.
func (o *oracle) yield(r outturn) {
	n := o.yielded
	o.yielded++
	if !o.kind.loops() {
		o.slots[r.key] = r
		if o.failed == "" && r.err != "" {
			o.failed = fmt.Sprintf("task %d: %s", r.key, r.err)
		}
		return
	}
	o.note(o.now, "result %d: %+v%s", n, r, o.length())
	o.reading = false
	o.after(o.bodies[n], func() {
		if n == o.cancels {
			o.cancel("the caller")
		}
		o.reading = true
		if n == o.leaves {
			o.leftBy = o.how
			o.leave()
			return
		}
		o.add(byBody, n)
	})
}

// length is Len of the queue, if there is one.
func (o *oracle) length() string {
	if o.kind != ofQueue {
		return ""
	}
	n := len(o.ready) + len(o.finished)
	if !o.deserted {
		n += len(o.running)
	}
	return fmt.Sprintf(", %d queued", n)
}

// leave begins the loop's end.
func (o *oracle) leave() {
	o.reading, o.left = false, true
	o.cancel("stopped")
}

// depart is the loop's end, when nothing runs, or with Detach.
func (o *oracle) depart() bool {
	if !o.left || o.over || len(o.running) > 0 && !o.detach {
		return false
	}
	o.over = true
	if o.step > 0 && !o.inStep {
		o.note(o.now, "the sequence is left")
	}
	switch {
	case o.raised != "":
		o.note(o.now, "the call raises %s, and tells of %d more", o.raised, o.others)
	case o.leftBy == panics:
		o.note(o.now, "the call raises body, and tells of 0 more")
	case o.kind == ofGather:
		o.note(o.now, "the call returns %v %q", values(o.slots), o.failed)
	case o.kind == ofSettle:
		o.note(o.now, "the call returns %+v", o.slots)
	}
	if o.leftBy == exits {
		o.note(o.now, "the call's goroutine exits")
	}
	if o.started > 0 {
		o.note(o.now, "the tasks' context has ended: %q", o.cause)
	}
	o.note(o.now, "the call ends")
	return true
}

// boomed names a task's error, or the value of its panic; never: the sequence's.
func boomed(i int) string {
	if i == never {
		return "boom-step"
	}
	return fmt.Sprintf("boom-%d", i)
}

// values are those that Gather returns.
func values(slots []outturn) []int {
	list := make([]int, len(slots))
	for i, r := range slots {
		if r.err == "" {
			list[i] = r.value
		}
	}
	return list
}
