// Package natswork is a work queue on NATS JetStream. A caller's [Queue.Do] is
// a task: it queues a job and waits for its result. Any number of workers, on
// any machine, run [Work]: each takes one job at a time.
//
// While a worker has a job, it asks the caller at every beat whether the result
// is still wanted, and tells the server that it is alive. So everything that
// can go wrong shows as an answer that does not come, or is no:
//
//   - The caller's task has ended: the answer is no. The job's context ends, and
//     the job is deleted.
//   - The caller is dead or cut off: no answer. After a while the job's context
//     ends, and the job goes back to the queue, in case the caller comes back.
//   - The worker is dead or cut off: the server hears nothing, and gives the
//     job to another worker.
//   - The server is dead: the jobs are in its files, callers and workers connect
//     again, and the answers of the meantime count as those that did not come.
//
// A job is thus delivered at least once, and a result is taken once.
package natswork

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// beat is the time between two questions of a worker to a caller.
	beat = 250 * time.Millisecond

	// patience is how long one may be silent before one counts as dead: a
	// worker to the server, a caller to its worker.
	patience = 3 * time.Second
)

// Connect connects to a server, and connects again whenever the connection
// breaks, for as long as it takes.
func Connect(url string, options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(url, append(options, nats.MaxReconnects(-1), nats.ReconnectWait(beat))...)
}

const subject = "jobs"

// open makes the queue, if it is not there. If there is another of this name,
// it leaves that alone and fails.
func open(ctx context.Context, nc *nats.Conn) (jetstream.JetStream, jetstream.Consumer, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, err
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:      "JOBS",
		Subjects:  []string{subject},
		Retention: jetstream.WorkQueuePolicy, // an acknowledged job is deleted
		MaxAge:    24 * time.Hour,            // so are, some day, the jobs of dead callers
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make the queue: %w", err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       "workers",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       patience,
		MaxAckPending: -1, // or the jobs of dead callers, which wait too, would hold up the others
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make the queue: %w", err)
	}
	return js, consumer, nil
}

// What a worker sends has the job's id as its subject, and in this header what
// it is: a question, or one of two kinds of result. The answer is whether the
// caller wants the result: true or false.
const (
	kind     = "Kind"
	question = "question"
	value    = "value"
	failure  = "failure"
)
