package crew

import (
	"slices"
	"unsafe"
)

// buffer has the results that wait for the loop, in finish order. Workers add
// to it under the lock. The loop takes over all that is there at once, and
// then reads what it has taken over without the lock.
type buffer[I any] struct {
	results []I // added, and not taken over; guarded by the lock
	batch   []I // taken over; the loop's own, as is next
	next    int // the place in batch to read
}

// few is how many results the two slices have room for at first. They are made
// on the caller's goroutine: that of a worker has a small stack, which an
// allocation outgrows now and then, when the runtime has to look for memory.
const few = 8

// init makes room for few results, unless they are large.
func (b *buffer[I]) init() {
	var one I
	if unsafe.Sizeof(one) <= 64 {
		both := make([]I, 2*few)
		b.results, b.batch = both[:0:few], both[few:few]
	}
}

// put adds a result.
func (b *buffer[I]) put(item I) {
	b.results = append(b.results, item)
}

// read returns the next result of those taken over.
func (b *buffer[I]) read() (item I, ok bool) {
	if b.next == len(b.batch) {
		return item, false
	}
	item, b.batch[b.next] = b.batch[b.next], item // which is zero: what was read is not kept
	b.next++
	return item, true
}

// refill takes over what is there, when all that was taken over is read.
func (b *buffer[I]) refill() {
	spare := b.batch[:0]
	if cap(spare) > large && len(b.results) < cap(spare)/4 {
		spare = nil
	}
	b.batch, b.results, b.next = b.results, spare, 0
	if len(b.batch) == 0 && cap(b.batch) > large {
		b.batch = nil
	}
}

// unread returns all that was not read.
func (b *buffer[I]) unread() []I {
	return slices.Concat(b.batch[b.next:], b.results)
}

// window has the results that wait for the loop, to be read in the order of
// their numbers. It is a ring that grows, and is used under the lock.
type window[I any] struct {
	slots []slot[I] // that of number n is n modulo its length, a power of two
	head  int       // the number to read next
	tail  int       // above all numbers that were put
	puts  int
}

type slot[I any] struct {
	item I
	put  int // the position in the order of putting, from 1; 0 if it is empty
}

func newWindow[I any]() *window[I] { return &window[I]{slots: make([]slot[I], few)} }

func (w *window[I]) at(n int) *slot[I] { return &w.slots[n&(len(w.slots)-1)] }

// put adds the result with number n.
func (w *window[I]) put(n int, item I) {
	size := len(w.slots)
	for n-w.head >= size {
		size *= 2
	}
	if size > len(w.slots) {
		w.resize(size)
	}
	w.puts++
	*w.at(n) = slot[I]{item, w.puts}
	w.tail = max(w.tail, n+1)
}

// ready reports whether the next result is there.
func (w *window[I]) ready() bool { return w.at(w.head).put > 0 }

// read returns the next result, if it is there.
func (w *window[I]) read() (item I, ok bool) {
	if !w.ready() {
		return item, false
	}
	item = w.at(w.head).item
	*w.at(w.head) = slot[I]{}
	w.head++
	if len(w.slots) > large && w.tail-w.head < len(w.slots)/4 {
		w.resize(len(w.slots) / 2)
	}
	return item, true
}

// resize moves the results into a ring of another size.
func (w *window[I]) resize(size int) {
	old := *w
	w.slots = make([]slot[I], size)
	for n := w.head; n < w.tail; n++ {
		*w.at(n) = *old.at(n)
	}
}

// rest returns all that was not read, in the order of putting.
func (w *window[I]) rest() []I {
	var slots []slot[I]
	for _, s := range w.slots {
		if s.put > 0 {
			slots = append(slots, s)
		}
	}
	slices.SortFunc(slots, func(a, b slot[I]) int { return a.put - b.put })
	var items []I
	for _, s := range slots {
		items = append(items, s.item)
	}
	return items
}
