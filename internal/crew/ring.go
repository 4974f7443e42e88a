package crew

import "sync"

// ring is a queue with room for all that can be in it, for one reader. It is
// what a buffered channel is, for less: the reader sees all that is there with
// one lock, and nothing but the room is allocated.
type ring[I any] struct {
	items []I

	mu     sync.Mutex // guards the rest of this part; held over nothing that blocks
	news   sync.Cond  // for the reader: an item, or the close
	tail   int        // where the next item goes
	count  int        // of the items put
	closed bool

	head  int // where the next item to take is; the reader's own, as is the rest
	taken int // of the items taken
	seen  int // count, as the reader knows it
}

// init makes room for n items.
func (r *ring[I]) init(n int) {
	r.items = make([]I, n)
	r.news.L = &r.mu
}

// put adds an item.
func (r *ring[I]) put(item I) {
	r.mu.Lock()
	r.items[r.tail] = item
	r.tail = r.after(r.tail)
	r.count++
	r.mu.Unlock()
	r.news.Signal()
}

// close lets take come to its end.
func (r *ring[I]) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.news.Signal()
}

// take returns the oldest item. If there is none it waits until there is; ok is
// false once the ring is closed and empty.
func (r *ring[I]) take() (item I, ok bool) {
	if r.taken == r.seen && !r.wait() {
		return item, false
	}
	item, r.items[r.head] = r.items[r.head], item // which is zero, and keeps nothing
	r.head = r.after(r.head)
	r.taken++
	return item, true
}

// wait waits until there are items that the reader has not seen.
func (r *ring[I]) wait() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.count == r.seen && !r.closed {
		r.news.Wait()
	}
	r.seen = r.count
	return r.taken < r.seen
}

// after is the place that follows i.
func (r *ring[I]) after(i int) int {
	if i++; i < len(r.items) {
		return i
	}
	return 0
}
