//go:build explore

package explorer

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// thread is one goroutine of a scenario.
type thread struct {
	id     int
	own    bool // of the scenario itself
	sealed bool // the call that it is of has ended
	wake   chan struct{}
	hash   uint64      // of what happened before its next step
	needs  *Mutex      // it goes on only when this is free
	until  func() bool // it goes on only when this holds
	idle   bool        // it goes on only when no other thread can
	asleep bool        // it waits on a condition
	fresh  bool        // it has not reached a point yet
	done   bool
	held   int // locked mutexes
}

// enabled reports whether t can take its next step.
func (t *thread) enabled() bool {
	return !t.done && !t.asleep && (t.needs == nil || t.needs.owner == nil) && (t.until == nil || t.until()) && (!t.idle || x.idle())
}

// idle reports whether no thread can go on but those that wait for just that.
func (x *exploration) idle() bool {
	for _, t := range x.threads {
		if !t.idle && t.enabled() {
			return false
		}
	}
	return true
}

// An Object is what steps have in common. The order of two steps matters only
// if they are on the same object, and one of them changes it.
type Object struct{ last, reads uint64 }

// touch notes that t's step comes after those on o.
func (t *thread) touch(o *Object, write bool) {
	t.hash = mix(t.hash, o.last)
	if write {
		t.hash = mix(t.hash, o.reads)
		o.last, o.reads = t.hash, 0
	} else {
		o.reads += t.hash // a sum, because the order of the readers does not matter
	}
}

func mix(a, b uint64) uint64 {
	a ^= b + 0x9e3779b97f4a7c15 + a<<6 + a>>2
	a *= 0xff51afd7ed558ccd
	return a ^ a>>32
}

// Spawn starts f in a thread of the code under test.
func Spawn(f func()) { spawn(f, false) }

// Go starts f in a thread of the scenario itself, which may go on after Seal.
func Go(f func()) { spawn(f, true) }

func spawn(f func(), own bool) *thread {
	var t *thread
	id := len(x.threads)
	if id < len(x.pool) {
		t = x.pool[id]
		*t = thread{wake: t.wake}
	} else {
		t = &thread{wake: make(chan struct{}, 1)}
		x.pool = append(x.pool, t)
	}
	t.id, t.own, t.fresh = id, own, true
	if me := x.cur; me != nil {
		me.hash = mix(me.hash, 1)
		t.hash = mix(me.hash, 2)
		x.note(me, fmt.Sprint("spawn ", id))
	}
	x.threads = append(x.threads, t)
	go func() {
		defer func() { x.exit(t, recover()) }()
		<-t.wake
		if !x.aborting {
			f()
		}
	}()
	return t
}

// Seal declares that a call has ended. The threads that the code under test has
// spawned so far may end, but not take a step, and its AfterFuncs must not run.
func Seal() {
	x.seals++
	for _, t := range x.threads {
		t.sealed = !t.own
	}
}

// Calm ends the search in this run: from here on it takes the first option at
// each choice.
func Calm() { x.calm = true }

// Fail ends the run with a failure, and the calling thread.
func Fail(format string, args ...any) { fail(format, args...) }

func fail(format string, args ...any) {
	x.giveUp(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (x *exploration) giveUp(failure string) {
	if !x.aborting {
		x.aborting, x.failure = true, failure
	}
}

// Aborting reports whether the run is given up. Deferred functions of a
// scenario that check something must not do so then.
func Aborting() bool { return x.aborting }

// Thread is the number of the calling thread. That of the scenario is 0.
func Thread() int { return x.cur.id }

// Unlocked fails the run if the calling thread holds a mutex.
func Unlocked() {
	if x.cur.held > 0 {
		fail("a lock is held over a call of the user's code")
	}
}

// Point hands over control to whichever thread is next. When it returns, the
// caller takes its step, which changes o, or only reads it.
func Point(kind string, o *Object, write bool) { point(kind, o, write) }

// Until is a point at which the thread waits until ready holds, which depends
// on o only. It must not change anything.
func Until(kind string, o *Object, ready func() bool) {
	if x.aborting {
		runtime.Goexit()
	}
	x.cur.until = ready
	point(kind, o, true)
}

// Idle is a point at which the thread waits until no other one can go on.
func Idle() {
	if x.aborting {
		runtime.Goexit()
	}
	x.cur.idle = true
	var o Object
	point("idle", &o, true)
	for _, t := range x.threads {
		x.cur.hash = mix(x.cur.hash, t.hash)
	}
}

func point(kind string, o *Object, write bool) {
	if x.aborting {
		runtime.Goexit()
	}
	me := x.cur
	if !me.fresh || !me.enabled() { // a fresh thread was resumed for this very step
		next := x.pick(me)
		if next == nil {
			runtime.Goexit()
		}
		if next != me {
			x.resume(next)
			<-me.wake
			if x.aborting {
				runtime.Goexit()
			}
		}
	}
	if me.sealed {
		x.note(me, kind)
		fail("a goroutine of the call goes on after its end: %s in %s", kind, caller())
	}
	me.fresh, me.idle, me.needs, me.until = false, false, nil, nil
	x.note(me, kind)
	me.touch(o, write)
}

func (x *exploration) resume(t *thread) {
	x.cur = t
	t.wake <- struct{}{}
}

// exit follows the end of a thread, by return, by Goexit, or by a panic with v.
func (x *exploration) exit(t *thread, v any) {
	if v != nil && !x.aborting {
		x.giveUp(fmt.Sprintf("panic in thread %d: %v\n%s", t.id, v, debug.Stack()))
	}
	if t.held > 0 && !x.aborting {
		x.giveUp(fmt.Sprintf("thread %d ends with a lock held", t.id))
	}
	t.done = true
	if !x.aborting {
		x.note(t, "end")
		t.hash = mix(t.hash, 3)
		if next := x.pick(t); next != nil {
			x.resume(next)
			return
		}
	}
	x.over <- struct{}{}
}

// maxSteps is more than any run takes that comes to an end.
const maxSteps = 100_000

// pick returns the thread that goes on after me, or nil at the end of the run.
func (x *exploration) pick(me *thread) *thread {
	options := x.options[:0]
	free := !me.enabled() // to choose another thread is no preemption
	if !free {
		options = append(options, me)
	}
	if free || x.preemptions < x.search.Bound || x.replay != nil {
		for _, t := range x.threads {
			if t != me && t.enabled() {
				options = append(options, t)
			}
		}
	}
	x.options = options
	if x.steps++; x.steps > maxSteps {
		x.giveUp("no end in sight")
		return nil
	}
	switch len(options) {
	case 0:
		for _, t := range x.threads {
			if !t.done {
				x.giveUp("deadlock")
				break
			}
		}
		return nil
	case 1:
		return options[0]
	}
	if x.calm {
		return options[0]
	}
	if x.search.Hash && x.replay == nil && x.pos == len(x.path) && x.before(me, free) {
		x.pruned, x.aborting = true, true
		return nil
	}
	i := x.choose(len(options))
	if i < 0 {
		return nil
	}
	if !free && i > 0 {
		x.preemptions++
	}
	return options[i]
}

// before reports whether the search has been here, with as many preemptions
// left. What follows depends on nothing but which steps have happened, each
// after which others.
func (x *exploration) before(me *thread, free bool) bool {
	var state uint64
	for _, t := range x.threads {
		state += mix(t.hash, 4)
	}
	if !free {
		state = mix(state, me.hash)
	}
	left := x.search.Bound - x.preemptions + 1
	if x.search.Bound == Unbounded {
		left = 1
	}
	if x.seen[state] >= left {
		return true
	}
	x.seen[state] = left
	return false
}
