package crew

import "context"

// Item is what one task returned.
type Item[K, T any] struct {
	N     int // the task's number
	Key   K
	Value T
	Err   error
}

// Stream is a crew whose results a loop reads one by one, in the order in
// which the tasks finished.
type Stream[K, T any] struct {
	Crew[K, T]

	// One of the two has room for every task that can have been claimed and
	// not taken by the loop, so that Put does not block. The last worker
	// closes it.
	ring ring[Item[K, T]]
	pile *pile[Item[K, T]] // nil if it is the ring

	loose *loose[K, T] // with Detach, what the loop may leave behind; else nil

	// Failed, if not nil, is told of every error before its result is put, by
	// the worker. It must not block.
	Failed func(n int, err error)
}

// mostRoom is the room from which on a pile, which grows as it must, takes
// the place of a ring, whose memory is all there from the beginning.
const mostRoom = 1 << 10

// Init readies a stream of at most n results. blocks tells whether Claim of
// the source may block, as a sequence may.
func (s *Stream[K, T]) Init(ctx context.Context, config *Config, source Source[K, T], n int, blocks bool) {
	limit, buffer := config.Limit, config.Buffer
	if limit == Unlimited && config.Limiter != nil {
		limit = config.Limiter.N
	}
	if buffer == Unset {
		buffer = n
		if n == Unlimited {
			buffer = limit
		}
	}
	most := n // that can have been claimed and not taken by the loop
	if buffer < n-limit {
		most = limit + buffer
		s.room = make(chan struct{}, most)
	}
	if config.Detach || n == Unlimited && most > mostRoom {
		s.pile = newPile[Item[K, T]]() // with Detach, the loop waits for the context besides
	} else {
		s.ring.init(most)
	}
	s.turns = n == Unlimited
	if blocks {
		source = Within(ctx, &s.Crew, config, source, true)
	}
	if config.Detach {
		s.loose = &loose[K, T]{Source: source, blocks: blocks, running: make(map[int]K)}
		source = s.loose
	}
	if !blocks {
		source = Within(ctx, &s.Crew, config, source, false)
	}
	s.Crew.Init(ctx, config, source, s)
}

// Next blocks until a task has finished; ok is false when no more results
// come, or when a task has panicked and Stop is to be called.
func (s *Stream[K, T]) Next() (item Item[K, T], ok bool) {
	switch {
	case s.pile == nil:
		item, ok = s.ring.take()
	case s.loose == nil:
		item, ok = s.pile.take(nil)
	default:
		item, ok = s.nextLoose()
	}
	return item, ok && !s.Panicked()
}

// nextLoose is Next with Detach: once the context has ended it does not wait.
func (s *Stream[K, T]) nextLoose() (item Item[K, T], ok bool) {
	if item, ok = s.pile.take(s.ctx.Done()); ok {
		return item, true
	}
	s.loose.abandon(s.Cause()) // of nothing, if the last worker has left

	if item, ok = s.pile.take(s.ctx.Done()); ok { // what had finished in time
		return item, true
	}
	if len(s.loose.abandoned) > 0 {
		first := &s.loose.abandoned[0]
		item, *first, ok = *first, item, true // item is zero, and keeps nothing
		s.loose.abandoned = s.loose.abandoned[1:]
	}
	return item, ok
}

// Put keeps a result for the loop.
func (s *Stream[K, T]) Put(n int, key K, value T, err error) {
	item := Item[K, T]{n, key, value, err}
	if s.loose != nil {
		s.loose.put(item, s.put)
		return
	}
	s.put(item)
}

// put is Put without Detach.
func (s *Stream[K, T]) put(item Item[K, T]) {
	if item.Err != nil && s.Failed != nil {
		s.Failed(item.N, item.Err)
	}
	if s.pile != nil {
		s.pile.put(item)
		return
	}
	s.ring.put(item)
}

// Close tells the loop that no more results come.
func (s *Stream[K, T]) Close() {
	if s.pile != nil {
		s.pile.close()
	} else {
		s.ring.close()
	}
}

// Wait drops the results that the loop has not taken, until Close. With
// Detach it drops those that are there.
func (s *Stream[K, T]) Wait() {
	var done <-chan struct{}
	if s.loose != nil {
		s.loose.leave()
		if s.loose.blocks {
			s.end()
		}
		done = s.ctx.Done() // which is closed, or about to be
	}
	for ok := true; ok; {
		if s.pile != nil {
			_, ok = s.pile.take(done)
		} else {
			_, ok = s.ring.take()
		}
	}
}

// end ends the source before its last worker does. It does so on a goroutine
// of the crew: the loop's may be locked to its thread, and then it cannot stop
// a coroutine that the crew has made.
func (s *Stream[K, T]) end() {
	done := make(chan struct{})
	s.launch(func() {
		defer close(done)
		s.source.End()
	})
	<-done
}
