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

	// items has room for every task that can have been claimed and not taken
	// by the loop, so that Put does not block. The last worker closes it.
	items chan Item[K, T]
}

// Init readies a stream of at most n results.
func (s *Stream[K, T]) Init(ctx context.Context, config *Config, source Source[K, T], n int) {
	if config.Limit < n && config.Buffer < n-config.Limit {
		n = config.Limit + config.Buffer
		s.room = make(chan struct{}, n)
	}
	s.items = make(chan Item[K, T], n)
	if config.Detach {
		s.loose = &loose[K, T]{source: source, running: make(map[int]K)}
		source = s.loose
	}
	s.Crew.Init(ctx, config, source, s)
}

// Next blocks until a task has finished; ok is false when no more results
// come, or when a task has panicked and Stop is to be called.
func (s *Stream[K, T]) Next() (item Item[K, T], ok bool) {
	if s.loose != nil {
		return s.nextLoose()
	}
	item, ok = <-s.items
	return item, ok && !s.Panicked()
}

// Put keeps a result for the loop.
func (s *Stream[K, T]) Put(n int, key K, value T, err error) {
	item := Item[K, T]{n, key, value, err}
	if s.loose != nil {
		s.loose.put(item, s.items)
		return
	}
	s.items <- item
}

// Close tells the loop that no more results come.
func (s *Stream[K, T]) Close() { close(s.items) }

// Wait drops the results that the loop has not taken, until Close. With
// Detach it returns at once.
func (s *Stream[K, T]) Wait() {
	if s.loose != nil {
		s.loose.leave()
		return
	}
	for range s.items {
	}
}
