package natswork

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Queue is a caller's end of the work queue. It lives as long as its
// connection.
type Queue struct {
	js    jetstream.JetStream
	inbox string   // the beginning of all ids; nobody listens there when this process is dead
	tasks sync.Map // of those in Do: from the job's id to the channel for its result
}

// NewQueue returns a queue for this caller. Several callers may share the
// workers.
func NewQueue(ctx context.Context, nc *nats.Conn) (*Queue, error) {
	js, err := open(ctx, nc)
	if err != nil {
		return nil, err
	}
	q := &Queue{js: js, inbox: results + "." + rand.Text()}
	_, err = nc.Subscribe(q.inbox+".*", q.answer)
	return q, err
}

// Do queues the job and waits until a worker has done it. If the worker says
// it failed, the error has its words. When ctx ends, the worker's context ends
// too, within two beats, and a job that has not begun never does.
func (q *Queue) Do(ctx context.Context, job []byte) ([]byte, error) {
	if len(job) > MaxSize {
		return nil, tooLarge("job")
	}
	id := q.inbox + "." + rand.Text()
	result := make(chan *nats.Msg, 1)
	q.tasks.Store(id, result)
	defer q.tasks.Delete(id)

	// The id is the address for questions and for the result. An error does
	// not mean that the job is not queued; but then no worker will do it,
	// because it asks first, and hears that nobody wants it.
	_, err := q.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: job}, jetstream.WithMsgID(id))
	if err != nil {
		return nil, fmt.Errorf("queue the job: %w", err)
	}
	select {
	case m := <-result:
		switch what := m.Header.Get(kind); {
		case len(m.Data) > MaxSize:
			return nil, tooLarge("result")
		case what == value:
			return m.Data, nil
		case what == failure:
			return nil, errors.New(string(m.Data))
		default:
			return nil, fmt.Errorf("a worker has answered garbage: %.40q: %.100q", what, m.Data)
		}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// answer answers a worker. It takes one result for each task: when a second
// worker comes with the same, because the first seemed to be dead, the task is
// not there any more.
func (q *Queue) answer(m *nats.Msg) {
	var wanted bool
	if m.Header.Get(kind) == question {
		_, wanted = q.tasks.Load(m.Subject)
	} else {
		var result any
		if result, wanted = q.tasks.LoadAndDelete(m.Subject); wanted {
			result.(chan *nats.Msg) <- m
		}
	}
	m.Respond(strconv.AppendBool(nil, wanted)) //nolint:errcheck // if it is lost, the worker asks again
}
