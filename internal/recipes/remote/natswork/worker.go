package natswork

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/ascompleted/await"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// maxDeliveries bounds how many workers a job can kill. The waiting of silent
// callers counts too: it makes some ten minutes.
const maxDeliveries = 20

var (
	errUnwanted  = errors.New("the caller does not want the result any more")
	errNoAddress = errors.New("the job has no id to which a result could go")
	errGivenUp   = fmt.Errorf("given up: %d workers have begun the job, and none has ended it", maxDeliveries)
)

// Work does jobs, one at a time, until ctx ends; then it gives its job back for
// another worker. It returns why it ended.
//
// do must be safe to call twice for one job, even at the same time, because a
// worker that seemed to be dead may live. Its context ends when nobody wants
// the result any more, and [context.Cause] tells why. A panic of do is the
// job's error.
func Work(ctx context.Context, nc *nats.Conn, do func(ctx context.Context, job []byte) ([]byte, error)) error {
	queue, err := find(ctx, nc)
	if err != nil {
		return err
	}
	messages, err := queue.Messages(
		jetstream.PullMaxMessages(1), // a job that waited here could begin earlier elsewhere
		jetstream.PullHeartbeat(time.Second),
	)
	if err != nil {
		return err
	}
	defer messages.Stop()
	w := worker{nc, do}
	for ctx.Err() == nil { // Next would ask for one more job all the same
		msg, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case err == nil:
			if err := w.handle(ctx, msg); err != nil {
				slog.WarnContext(ctx, "a job has not come to its end here", "err", err)
			}
		case errors.Is(err, jetstream.ErrNoHeartbeat): // the server is away
		case ctx.Err() == nil:
			return err
		}
	}
	return context.Cause(ctx)
}

// address is what an id looks like. A worker sends nothing anywhere else,
// whatever a job says.
var address = regexp.MustCompile(`^` + results + `(\.[A-Z2-7]{26}){2}$`)

type worker struct {
	nc *nats.Conn
	do func(ctx context.Context, job []byte) ([]byte, error)
}

// handle does the job, and then acknowledges it or gives it back.
func (w *worker) handle(ctx context.Context, msg jetstream.Msg) error {
	delivery, err := msg.Metadata()
	if err != nil {
		return err
	}
	err = w.process(ctx, msg, delivery.NumDelivered)
	switch {
	case errors.Is(err, errNoAddress):
		return errors.Join(err, msg.TermWithReason(err.Error()))
	case err == nil, errors.Is(err, errUnwanted):
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		return msg.DoubleAck(ctx)
	case ctx.Err() != nil:
		return msg.Nak()
	default: // the caller may come back
		return msg.NakWithDelay(time.Duration(delivery.NumDelivered) * patience)
	}
}

// process returns nil when the caller has the result.
func (w *worker) process(ctx context.Context, msg jetstream.Msg, deliveries uint64) error {
	id := msg.Headers().Get(jetstream.MsgIDHeader)
	if !address.MatchString(id) {
		return errNoAddress
	}
	if err := w.tell(ctx, id, question, nil); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	job := func(ctx context.Context) ([]byte, error) {
		if deliveries > maxDeliveries {
			return nil, errGivenUp
		}
		if len(msg.Data()) > MaxSize { // the server measures the header too, so it lets some more pass
			return nil, tooLarge("job")
		}
		return w.do(ctx, msg.Data())
	}
	watch := func(ctx context.Context) ([]byte, error) {
		stop(w.watch(ctx, msg, id)) // it is the cause that the job sees
		return nil, nil
	}
	for _, r := range await.AsCompleted(ctx, []await.Task[[]byte]{job, watch}, await.Recover()) {
		if ctx.Err() == nil {
			return w.deliver(ctx, id, r) // still watched, until the loop is left
		}
	}
	return context.Cause(ctx)
}

// watch tells the server that the job is being worked on, and asks the caller
// whether it wants the result, until it does not or has been silent too long.
func (w *worker) watch(ctx context.Context, msg jetstream.Msg, id string) error {
	for heard := time.Now(); ; {
		if err := pause(ctx); err != nil {
			return err
		}
		err := msg.InProgress()
		if err == nil {
			err = w.tell(ctx, id, question, nil)
		}
		switch {
		case err == nil:
			heard = time.Now()
		case errors.Is(err, errUnwanted):
			return err
		case time.Since(heard) > patience:
			return fmt.Errorf("the caller has been silent for %v: %w", patience, err)
		}
	}
}

// deliver tells the caller the result, until it has it.
func (w *worker) deliver(ctx context.Context, id string, r await.Result[[]byte]) error {
	what, data := value, r.Value
	if r.Err != nil {
		what, data = failure, []byte(r.Err.Error())
	}
	if len(data) > MaxSize {
		what, data = failure, []byte(tooLarge("result").Error())
	}
	for {
		err := w.tell(ctx, id, what, data)
		if err == nil || errors.Is(err, errUnwanted) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// tell tells the caller something. It returns nil if the caller wants the
// result, or has it now.
func (w *worker) tell(ctx context.Context, id, what string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	answer, err := w.nc.RequestMsgWithContext(ctx, &nats.Msg{
		Subject: id,
		Header:  nats.Header{kind: {what}},
		Data:    data,
	})
	if err == nil && string(answer.Data) != "true" {
		return errUnwanted
	}
	return err
}

// pause waits for the next beat.
func pause(ctx context.Context) error {
	select {
	case <-time.After(beat):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
