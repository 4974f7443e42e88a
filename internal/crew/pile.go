package crew

import "sync"

// pile is a queue without a bound, for one reader.
type pile[I any] struct {
	mu     sync.Mutex
	items  []I  // what was put and not yet taken over by the reader; guarded by mu
	closed bool // guarded by mu

	wake chan struct{} // has a token when there may be news for the reader

	batch []I // what the reader has taken over; its own
	next  int // index in batch
}

func newPile[I any]() *pile[I] { return &pile[I]{wake: make(chan struct{}, 1)} }

// put adds an item.
func (p *pile[I]) put(item I) {
	p.mu.Lock()
	p.items = append(p.items, item)
	first := len(p.items) == 1
	p.mu.Unlock()
	if first {
		p.tell()
	}
}

// close lets take come to its end.
func (p *pile[I]) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.tell()
}

func (p *pile[I]) tell() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns the oldest item. If there is none it waits until there is, or
// the pile is closed, or done is.
func (p *pile[I]) take(done <-chan struct{}) (item I, ok bool) {
	for {
		if p.next < len(p.batch) {
			item = p.batch[p.next]
			var zero I
			p.batch[p.next] = zero
			p.next++
			return item, true
		}
		p.mu.Lock()
		p.batch, p.items, p.next = p.items, p.batch[:0], 0
		closed := p.closed
		p.mu.Unlock()
		if len(p.batch) > 0 {
			continue
		}
		if closed {
			return item, false
		}
		select {
		case <-p.wake:
		case <-done:
			return item, false
		}
	}
}
