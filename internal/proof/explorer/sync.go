//go:build explore

package explorer

import (
	"slices"
	"sync"
)

// Mutex is a sync.Mutex with a point before Lock. Unlock needs none: it only
// lets others go on, and they get their turn at the next point.
type Mutex struct {
	object Object
	owner  *thread
}

// Lock locks m.
func (m *Mutex) Lock() {
	if x.aborting {
		point("lock", &m.object, true)
	}
	if m.owner == x.cur {
		fail("a thread locks what it has locked")
	}
	x.cur.needs = m
	point("lock", &m.object, true)
	m.owner = x.cur
	m.owner.held++
}

// Unlock unlocks m, which the calling thread must have locked.
func (m *Mutex) Unlock() {
	if x.aborting {
		return
	}
	if m.owner != x.cur {
		fail("a thread unlocks what it has not locked")
	}
	m.owner.held--
	m.owner = nil
	m.object.last = x.cur.hash
}

// AssertLocked fails the run if the calling thread does not hold m.
func AssertLocked(m *Mutex) {
	if !x.aborting && m.owner != x.cur {
		fail("%s needs the lock", caller())
	}
}

// Cond is a sync.Cond whose L is a *Mutex. It has a point where it waits, and
// where it wakes others if the lock is not held: if it is, nobody can tell at
// which moment it does.
type Cond struct {
	L       sync.Locker
	waiting []*thread
	object  Object
}

// Wait unlocks c.L, waits, and locks it again.
func (c *Cond) Wait() {
	me, m := x.cur, c.L.(*Mutex)
	if x.aborting {
		m.Lock() // which ends the thread
	}
	AssertLocked(m)
	me.touch(&c.object, true)
	x.note(me, "wait")
	c.waiting = append(c.waiting, me)
	me.asleep = true
	m.Unlock()
	me.needs = m
	point("woken", &m.object, true)
	m.owner = me
	me.held++
}

// Signal wakes any one of those that wait: sync.Cond promises no order.
func (c *Cond) Signal() {
	if !c.wakes("signal") {
		return
	}
	i := 0
	if n := len(c.waiting); n > 1 {
		x.steps++
		if i = x.choose(n); i < 0 {
			fail("")
		}
	}
	c.wake(c.waiting[i])
	c.waiting = slices.Delete(c.waiting, i, i+1)
}

// Broadcast wakes all that wait.
func (c *Cond) Broadcast() {
	if !c.wakes("broadcast") {
		return
	}
	for _, t := range c.waiting {
		c.wake(t)
	}
	c.waiting = c.waiting[:0]
}

// wakes reports whether there is anybody to wake.
func (c *Cond) wakes(kind string) bool {
	switch {
	case x.aborting:
		return false
	case c.L.(*Mutex).owner != x.cur:
		point(kind, &c.object, true)
	default:
		x.cur.touch(&c.object, true)
		x.note(x.cur, kind)
	}
	return len(c.waiting) > 0
}

func (c *Cond) wake(t *thread) {
	t.asleep = false
	t.hash = mix(t.hash, x.cur.hash)
}

// Bool is an atomic.Bool with a point before each operation.
type Bool struct {
	object Object
	value  bool
}

// Load returns the value.
func (b *Bool) Load() bool {
	point("load", &b.object, false)
	return b.value
}

// Store sets the value.
func (b *Bool) Store(value bool) {
	point("store", &b.object, true)
	b.value = value
}

// Swap sets the value and returns the one before.
func (b *Bool) Swap(value bool) (old bool) {
	point("swap", &b.object, true)
	old, b.value = b.value, value
	return old
}

// CompareAndSwap sets the value if it is old.
func (b *Bool) CompareAndSwap(old, value bool) (swapped bool) {
	point("compare and swap", &b.object, true)
	if b.value != old {
		return false
	}
	b.value = value
	return true
}

// Int64 is an atomic.Int64 with a point before each operation.
type Int64 struct {
	object Object
	value  int64
}

// Load returns the value.
func (i *Int64) Load() int64 {
	point("load", &i.object, false)
	return i.value
}

// Store sets the value.
func (i *Int64) Store(value int64) {
	point("store", &i.object, true)
	i.value = value
}

// Add adds to the value and returns the sum.
func (i *Int64) Add(delta int64) int64 {
	point("add", &i.object, true)
	i.value += delta
	return i.value
}

// CompareAndSwap sets the value if it is old.
func (i *Int64) CompareAndSwap(old, value int64) (swapped bool) {
	point("compare and swap", &i.object, true)
	if i.value != old {
		return false
	}
	i.value = value
	return true
}
