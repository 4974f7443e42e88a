//go:build !explore

package proof_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A scenario is one call with everything that happens around it; of a Queue,
// perhaps two loops. The oracle predicts how it goes, and a performance shows
// how it does.
type scenario struct {
	name  string // for messages
	kind  kind
	plans []plan // of the tasks; a task's key is its index

	limit    int  // 0: none
	buffer   int  // unset: the default
	within   int  // places of the limiter; 0: none
	detach   bool // and so on: the options
	recovers bool
	named    bool
	hooks    []hook // functions given to OnCancel
	discards bool   // OnDiscard is given
	spoiled  int    // the call of its function that panics; none

	expires  time.Duration // when the caller's context ends; 0: before the call; never
	deadline bool          // it ends by a deadline

	// The body of the loop.
	bodies  []time.Duration // how long it takes over each result
	cancels int             // the result with which it ends the caller's context; none
	leaves  int             // the result with which it leaves the loop; none
	how     ending          // it leaves: succeeds is a break
	pulled  bool            // the loop ranges through iter.Pull2
	again   bool            // a second loop over the Queue follows; its context does not end

	// The sequence.
	steps   []time.Duration // how long it takes before each task, and before its end
	breaks  int             // the step that fails; none
	broken  ending          // how: panics, exits, or fails by a nil task
	wakes   bool            // OnCancel's first function wakes a step that waits; then the sequence returns
	cleanup time.Duration   // how long it goes on when yield has returned false
	cleaned ending          // how it ends then: succeeds, fails by calling yield again, panics or exits
}

// A hook is a function given to OnCancel.
type hook struct {
	lasts time.Duration
	ends  ending // succeeds, panics or exits
}

const (
	never = -1 // a duration: it does not happen
	none  = -1 // an index
	unset = -1 // Buffer is not given

	unlimited = math.MaxInt
)

// settled is when everything in a scenario has ended.
const settled = 10000 * time.Hour

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
	lingers time.Duration // how long it goes on when its context has ended; never: it ignores that
	gives   ending        // how it ends then

	// Of a Queue's task: who adds it, and which or when. A task that panics, and
	// a body that leaves, add nothing: what they added could start before the
	// engine knows of the end.
	by    adder
	which int
	when  time.Duration
}

// ending is how a task ends, or something else of a scenario.
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

// adder is who adds a task to a Queue.
type adder int

const (
	byCaller  adder = iota // before the loop
	byTask                 // the one with the index, as it ends
	byBody                 // after the result of that number
	byOutside              // at a moment
)

// bound is how many tasks may be started and not yet yielded.
func (s *scenario) bound() int {
	limit := cmp.Or(s.limit, s.within, unlimited)
	switch {
	case limit == unlimited, !s.kind.loops(), s.kind.list() && s.buffer == unset:
		return unlimited
	case s.buffer == unset:
		return 2 * limit
	}
	return limit + s.buffer
}

// keeps reports whether results that were not yielded stay for the next loop.
func (s *scenario) keeps() bool { return s.kind == ofQueue && !s.detach }

func (s *scenario) clone() *scenario {
	c := *s
	c.plans, c.hooks = slices.Clone(s.plans), slices.Clone(s.hooks)
	c.bodies, c.steps = slices.Clone(s.bodies), slices.Clone(s.steps)
	return &c
}

// String describes the scenario.
func (s *scenario) String() string {
	var text strings.Builder
	say := func(given bool, format string, args ...any) {
		if given {
			fmt.Fprintf(&text, format, args...)
		}
	}
	say(true, "%v of %d tasks", s.kind, len(s.plans))
	say(s.limit > 0, ", Limit(%d)", s.limit)
	say(s.buffer != unset, ", Buffer(%d)", s.buffer)
	say(s.within > 0, ", Within a limiter of %d", s.within)
	say(s.detach, ", Detach")
	say(s.recovers, ", Recover")
	say(s.named, ", Name")
	say(s.discards, ", OnDiscard")
	say(s.pulled, ", ranged through Pull2")
	say(s.again, ", two loops")
	say(s.expires != never, "\n\tthe caller's context ends at %v", s.expires)
	say(s.expires != never && s.deadline, " by a deadline")
	for i, p := range s.plans {
		say(true, "\n\ttask %d %v after %v", i, p.ends, p.lasts)
		say(p.lingers != never, ", or when cancelled %v %v later", p.gives, p.lingers)
		say(s.kind == ofQueue && p.by == byTask, "; added by task %d", p.which)
		say(s.kind == ofQueue && p.by == byBody, "; added by the body with result %d", p.which)
		say(s.kind == ofQueue && p.by == byOutside, "; added at %v", p.when)
	}
	for i, h := range s.hooks {
		say(true, "\n\tOnCancel %d %v after %v", i, h.ends, h.lasts)
	}
	say(s.spoiled != none, "\n\tcall %d of OnDiscard's function panics", s.spoiled)
	say(s.kind.loops(), "\n\tthe body takes %v", s.bodies)
	say(s.cancels != none, "\n\tthe body ends the caller's context with result %d", s.cancels)
	say(s.leaves != none, "\n\tthe body leaves with result %d: %v", s.leaves, s.how)
	say(s.kind.sequence(), "\n\tthe sequence takes %v", s.steps)
	say(s.breaks != none, "\n\tthe sequence breaks in step %d: %v", s.breaks, s.broken)
	say(s.wakes, "\n\tOnCancel wakes the sequence")
	say(s.cleanup > 0 || s.cleaned != succeeds, "\n\tthe sequence cleans up for %v and %v", s.cleanup, s.cleaned)
	return text.String()
}
