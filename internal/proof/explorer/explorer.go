//go:build explore

// Package explorer runs a scenario of goroutines in every order of their
// steps, or in every order with at most so many preemptions, in the manner of
// loom (for Rust) and CHESS (for C#).
//
// The goroutines of a scenario are threads. Exactly one of them runs at a
// time, and it hands over control only at a point, just before a step that
// other threads may see: to lock a mutex, to load an atomic, to end a context.
// So code that is to be explored must use the types of this package to
// synchronize, and the functions for contexts and goroutines; select, channels
// and sync are invisible to the explorer, and so are data races.
//
// The search is depth first. A run follows the path of the choices that were
// made before, takes the first option wherever the path has ended, and
// afterwards the last choice that has an option left moves on to it. Option 0
// is to go on with the same thread. Any other option is a preemption if that
// thread could have gone on, and a run has at most Bound of them: few
// preemptions suffice for most faults, and their number is what the number of
// runs grows with.
package explorer

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Unbounded is a bound that no run reaches.
const Unbounded = math.MaxInt - 1

// Search says how to explore a scenario.
type Search struct {
	Bound int // preemptions in a run

	// Hash cuts a run short where another one has been: where the same steps
	// have happened, each after the same others. It needs every step on what
	// threads share to be told to Point.
	Hash bool

	Within time.Duration // gives up after that time; 0 is never
	Replay Path          // runs only this one; nil is all
}

// Report is what came of a search.
type Report struct {
	Bound          int
	Runs, Pruned   int // all of them; those that Hash cut short
	Steps, Choices int // in the longest run; in the run with most choices
	Threads        int // in the run with most of them
	Took           time.Duration
	TimedOut       bool

	Failure     string // empty if no run has failed
	Path        Path   // of the run that failed
	Preemptions int    // in that run
	History     string // of that run, or of the one that was replayed
}

func (r Report) String() string {
	bound := strconv.Itoa(r.Bound)
	if r.Bound == Unbounded {
		bound = "any"
	}
	s := fmt.Sprintf("bound %s: %d schedules, %d of them cut short, in %v, of at most %d steps, %d choices, %d threads",
		bound, r.Runs, r.Pruned, r.Took.Round(time.Millisecond), r.Steps, r.Choices, r.Threads)
	if r.TimedOut {
		s += "; NOT ALL: out of time"
	}
	if r.Failure != "" {
		s += fmt.Sprintf("; FAILED with %d preemptions: %s", r.Preemptions, r.Failure)
	}
	return s
}

// Path is where a run takes another option than the first: by the number of
// the step, which option.
type Path map[int]int

func (p Path) String() string {
	parts := make([]string, 0, len(p))
	for _, step := range slices.Sorted(maps.Keys(p)) {
		parts = append(parts, fmt.Sprintf("%d:%d", step, p[step]))
	}
	return strings.Join(parts, ",")
}

// ParsePath returns the path with the given text.
func ParsePath(text string) (Path, error) {
	p := Path{}
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		step, option, _ := strings.Cut(part, ":")
		i, err1 := strconv.Atoi(step)
		j, err2 := strconv.Atoi(option)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%q is not a list of steps and options such as 3:1,12:2", text)
		}
		p[i] = j
	}
	return p, nil
}

// Explore runs the scenario in every order that the search allows, until a
// run fails. One exploration runs at a time.
func Explore(search Search, scenario func()) Report {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // it is cheaper to hand over within one P
	x = &exploration{search: search, over: make(chan struct{}), seen: map[uint64]int{}}
	defer func() { x = nil }()
	start := time.Now()
	r := Report{Bound: search.Bound}
	x.replay = search.Replay
	for {
		x.run(scenario)
		r.Runs++
		r.Steps, r.Choices, r.Threads = max(r.Steps, x.steps), max(r.Choices, x.pos), max(r.Threads, len(x.threads))
		if x.pruned {
			r.Pruned++
		}
		if x.failure != "" {
			r.Failure, r.Preemptions = x.failure, x.preemptions
			if x.replay == nil { // once more, to see what happens
				r.Path = Path{}
				for _, c := range x.path[:x.pos] {
					if c.option > 0 {
						r.Path[c.step] = c.option
					}
				}
				x.replay = r.Path
				x.run(scenario)
			}
		}
		if x.replay != nil || !x.advance() {
			break
		}
		if search.Within > 0 && r.Runs%64 == 0 && time.Since(start) > search.Within {
			r.TimedOut = true
			break
		}
	}
	r.Took, r.History = time.Since(start), x.history()
	return r
}

// choice is one that a run has made: at which step, which of its options.
type choice struct{ step, option, options int }

// exploration is a search under way.
type exploration struct {
	search Search
	over   chan struct{}  // receives when no thread goes on
	seen   map[uint64]int // of states: how many preemptions were left there, plus one
	path   []choice
	replay Path      // in place of path; the run keeps its history
	pool   []*thread // all threads there ever were

	// Of the current run.
	threads     []*thread
	cur         *thread
	pos         int // in path
	preemptions int
	steps       int
	options     []*thread
	events      []event
	pruned      bool
	failure     string
	seals       int  // calls of Seal
	calm        bool // Calm was called

	// aborting is set when a run is given up. Every thread then ends at its
	// next step by Goexit, which no recover of the explored code can catch.
	aborting bool
}

// x is the exploration under way. It is global because the zero value of a
// mutex has to find it.
var x *exploration

// advance moves the path on to the next one, if there is one.
func (x *exploration) advance() bool {
	for len(x.path) > 0 {
		last := &x.path[len(x.path)-1]
		if last.option+1 < last.options {
			last.option++
			return true
		}
		x.path = x.path[:len(x.path)-1]
	}
	return false
}

// choose returns which of n options to take at this step; n is at least 2. It
// returns -1 if the run does not fit its path.
func (x *exploration) choose(n int) int {
	if x.calm {
		return 0
	}
	if x.replay != nil {
		if option := x.replay[x.steps]; option < n {
			return option
		}
		x.giveUp("the run does not fit its path")
		return -1
	}
	if x.pos == len(x.path) {
		x.path = append(x.path, choice{x.steps, 0, n})
	}
	c := x.path[x.pos]
	if c.step != x.steps || c.options != n {
		x.giveUp("the run does not fit its path: map order, select or time decides something")
		return -1
	}
	x.pos++
	return c.option
}

// run runs the scenario once.
func (x *exploration) run(scenario func()) {
	x.threads, x.events, x.cur = x.threads[:0], x.events[:0], nil
	x.pos, x.preemptions, x.steps = 0, 0, 0
	x.aborting, x.pruned, x.failure = false, false, ""
	x.seals, x.calm = 0, false
	spawn(scenario, true)
	x.resume(x.threads[0])
	<-x.over
	for x.aborting { // one after the other, those that are left end
		var left *thread
		for _, t := range x.threads {
			if !t.done {
				left = t
			}
		}
		if left == nil {
			break
		}
		x.resume(left)
		<-x.over
	}
}

// event is a step in the history of a run.
type event struct {
	thread int
	kind   string
	where  string
}

// note adds a step of t to the history.
func (x *exploration) note(t *thread, kind string) {
	if x.replay == nil || x.aborting {
		return
	}
	x.events = append(x.events, event{t.id, kind, caller()})
}

// caller is the line of the explored code that called the explorer.
func caller() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		dir, file := f.File[:strings.LastIndexByte(f.File, '/')+1], f.File[strings.LastIndexByte(f.File, '/')+1:]
		switch {
		case strings.HasSuffix(dir, "/internal/proof/explorer/") && !strings.HasSuffix(file, "_test.go"),
			file == "primitives_explore.go", strings.HasPrefix(f.Function, "context."), strings.HasPrefix(f.Function, "runtime."):
			continue
		}
		return fmt.Sprintf("%s:%d", file, f.Line)
	}
	return ""
}

// history is the steps of a run, a line for each stretch of a thread.
func (x *exploration) history() string {
	var b strings.Builder
	last := -1
	for _, e := range x.events {
		if e.thread != last {
			fmt.Fprintf(&b, "\nthread %d:", e.thread)
			last = e.thread
		}
		fmt.Fprintf(&b, " %s(%s)", e.kind, e.where)
	}
	return b.String()
}
