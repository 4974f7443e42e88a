package crew

import (
	"sync"
	"sync/atomic"
)

// ring is a queue with room for all that can be in it, for one reader. It is
// what a buffered channel is, for less: whoever puts an item takes no lock,
// unless the reader sleeps, and nothing but the room is allocated.
type ring[I any] struct {
	slots []slot[I]
	tail  atomic.Int64 // how many items were put, or are just being put
	head  int          // the slot to take from; the reader's own

	asleep atomic.Bool // the reader sleeps, or is about to, and nobody has woken it
	mu     sync.Mutex  // guards closed, and the reader's way to sleep
	news   sync.Cond   // for the reader: an item, or the close
	closed bool
}

// slot belongs to whoever puts until it is full, and then to the reader.
type slot[I any] struct {
	item I
	full atomic.Bool
}

// init makes room for n items.
func (r *ring[I]) init(n int) {
	r.slots = make([]slot[I], n)
	r.news.L = &r.mu
}

// put adds an item.
func (r *ring[I]) put(item I) {
	i := r.tail.Add(1) - 1
	if n := int64(len(r.slots)); i >= n {
		i %= n
	}
	s := &r.slots[i]
	s.item = item
	s.full.Store(true)
	if r.asleep.Load() && r.asleep.CompareAndSwap(true, false) {
		r.mu.Lock() // by now the reader sleeps, or has seen the item
		r.news.Signal()
		r.mu.Unlock()
	}
}

// close lets take come to its end. It follows all puts.
func (r *ring[I]) close() {
	r.mu.Lock()
	r.closed = true
	r.news.Signal()
	r.mu.Unlock()
}

// take returns the oldest item. If there is none it waits until there is; ok is
// false once the ring is closed and empty.
func (r *ring[I]) take() (item I, ok bool) {
	if len(r.slots) == 0 {
		return item, false
	}
	s := &r.slots[r.head]
	if !s.full.Load() && !r.wait(s) {
		return item, false
	}
	item, s.item = s.item, item // which is zero, and keeps nothing
	s.full.Store(false)
	if r.head++; r.head == len(r.slots) {
		r.head = 0
	}
	return item, true
}

// wait waits until s is full.
func (r *ring[I]) wait(s *slot[I]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		r.asleep.Store(true) // before the look, so that a put after it is not missed
		if s.full.Load() {
			break
		}
		if r.closed {
			return false
		}
		r.news.Wait()
	}
	r.asleep.Store(false)
	return true
}
