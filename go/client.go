package ringlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// ClientOptions say how a client calls.
type ClientOptions struct {
	// Outlast makes calls wait for the next server when theirs dies, instead of ending in ErrGone.
	Outlast bool
	// Timed makes requests and answers say when they were sent, for `ringlog stat`.
	Timed bool
	// Trust are users whose services are believed, besides this one and root.
	Trust []int
	// Idle is how long a wait sleeps at most before it looks again; by default 10 ms, for a server wakes its clients.
	Idle time.Duration
}

// A Client calls a service. It has a lane of it, until it is closed or its process ends.
type Client struct {
	options  ClientOptions
	service  *Log
	requests *Writer
	answers  *Reader
	body     BodyKind
	client   uint32
	pending  map[Ticket]bool
	done     map[Ticket]answer
	parts    parts
}

// A Ticket stands for a request that was sent.
type Ticket uint64

type answer struct {
	body []byte
	err  error
}

// Dial becomes a client of the service of a name. It waits until there is a server with a free lane, or the context is
// done.
func Dial(ctx context.Context, name string) (*Client, error) { return ClientOptions{}.Dial(ctx, name) }

// Dial becomes a client of the service of a name, as [Dial].
func (o ClientOptions) Dial(ctx context.Context, name string) (*Client, error) {
	if o.Idle == 0 {
		o.Idle = 10 * time.Millisecond
	}
	for {
		client, err := o.dial(name)
		if err == nil {
			return client, nil
		}
		mayCome := errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) || errors.Is(err, ErrBusy)
		if !mayCome {
			return nil, err
		}
		if pause(ctx, time.Millisecond); ctx.Err() != nil {
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

func (o ClientOptions) dial(name string) (*Client, error) {
	service, err := openService(name, o.Trust)
	if err != nil {
		return nil, err
	}
	client := &Client{options: o, service: service, pending: map[Ticket]bool{}, done: map[Ticket]answer{}}
	if err = client.takeLane(name); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// takeLane takes the first lane that has no client.
func (c *Client) takeLane(name string) error {
	if !c.service.HasWriter() {
		return failed(name, ErrGone, "the server is gone; start it again")
	}
	for lane := range int(c.service.members) {
		requests, err := openLane(laneName(name, lane, "req"), c.options.Trust, requestSchema)
		if errors.Is(err, ErrNotFound) {
			return failed(name, ErrBusy, "the next lane is not made yet")
		}
		if err != nil {
			return err
		}
		c.body = requests.schema.Body
		c.requests, err = requests.Writer()
		requests.Close()
		if errors.Is(err, ErrClaimed) {
			continue
		}
		if err != nil {
			return err
		}
		answers, err := openLane(laneName(name, lane, "rep"), c.options.Trust, answerSchema)
		if err != nil {
			return err
		}
		defer answers.Close()
		if c.answers, err = answers.Reader(0); err != nil {
			return err
		}
		if err := c.answers.Seek(Newest); err != nil {
			return err
		}
		c.answers.Idle = c.options.Idle
		c.answers.Commit() // what the last client did not take makes room
		c.client = uint32(c.requests.load(atEpoch))
		return nil
	}
	return failed(name, ErrBusy, "all its %d lanes have a client; end one, or serve with more lanes", c.service.members)
}

// Body returns the kind of its bodies: what requests and answers are.
func (c *Client) Body() BodyKind { return c.body }

// Call sends a request, and waits for its answer until the context is done. A request is run at most once, and not when
// the deadline of the context is over.
func (c *Client) Call(ctx context.Context, method uint32, body []byte) ([]byte, error) {
	ticket, err := c.Send(ctx, method, body)
	if err != nil {
		return nil, err
	}
	return c.Wait(ctx, ticket)
}

// Send sends a request without waiting for its answer. It waits for room, where 64 requests are under way.
func (c *Client) Send(ctx context.Context, method uint32, body []byte) (Ticket, error) {
	if c.answers == nil {
		return 0, ErrClosed
	}
	it := asked{method: method, client: c.client, stream: c.requests.Position()}
	if deadline, is := ctx.Deadline(); is {
		left := time.Until(deadline)
		if left <= 0 {
			return 0, context.DeadlineExceeded
		}
		it.sent = monotonicNS()
		it.deadline = it.sent + uint64(left)
	}
	if c.options.Timed {
		it.sent, it.part = monotonicNS(), partTimed
	}
	most := int(c.requests.BodyMax())
	for len(body) > most {
		it.part |= partMore
		if _, err := c.append(ctx, &it, body[:most/2]); err != nil {
			return 0, err
		}
		it.part = it.part&partTimed | partBehind
		body = body[most/2:]
	}
	position, err := c.append(ctx, &it, body)
	if err != nil {
		return 0, err
	}
	ticket := Ticket(position)
	c.pending[ticket] = true
	return ticket, nil
}

// append appends a request or a part of one, and takes answers while there is no room.
func (c *Client) append(ctx context.Context, it *asked, body []byte) (uint64, error) {
	record := it.bytes()
	for round := 0; ; round++ {
		position, err := c.requests.AppendBody(record[:], body)
		if err == nil {
			c.requests.Wake()
			return position, nil
		}
		if !errors.Is(err, ErrFull) {
			return 0, err
		}
		c.take()
		switch {
		case round < 200:
			runtime.Gosched()
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !c.options.Outlast && !c.HasServer():
			return 0, ErrGone
		default:
			pause(ctx, 100*time.Microsecond)
		}
	}
}

// Wait waits for the answer of a request that was sent, until the context is done; then the request is forgotten.
func (c *Client) Wait(ctx context.Context, ticket Ticket) ([]byte, error) {
	if c.answers == nil {
		return nil, ErrClosed
	}
	for round := 0; ; round++ {
		c.take()
		if it, is := c.done[ticket]; is {
			delete(c.done, ticket)
			return it.body, it.err
		}
		switch {
		case !c.pending[ticket]:
			return nil, fmt.Errorf("nobody waits for request %d: %w", ticket, ErrInvalid)
		case round < 1000:
			if round%32 == 31 {
				runtime.Gosched()
			}
		case ctx.Err() != nil:
			c.Forget(ticket)
			return nil, ctx.Err()
		case !c.options.Outlast && !c.HasServer():
			// It may have answered before it died.
			if c.take(); c.pending[ticket] {
				c.Forget(ticket)
				return nil, ErrGone
			}
		default:
			c.answers.sleep(ctx)
		}
	}
}

// Forget gives a request up: its answer finds nobody.
func (c *Client) Forget(ticket Ticket) {
	delete(c.pending, ticket)
	delete(c.done, ticket)
	c.parts.forget(uint64(ticket))
}

// HasServer returns whether a living process serves.
func (c *Client) HasServer() bool { return c.service.HasWriter() }

// take takes all answers that are there.
func (c *Client) take() {
	for {
		entry, err := c.answers.Poll()
		if err == nil {
			c.settle(answeredOf(entry.Record), entry.Body)
		} else if _, isLoss := err.(*LostError); !isLoss {
			break
		}
		if c.answers.position-c.answers.committed.position >= laneSlots/4 {
			c.answers.Commit()
		}
	}
	c.answers.commitAny()
}

// settle is one answer, or a part of one.
func (c *Client) settle(it answered, body []byte) {
	ticket := Ticket(it.request)
	if !c.pending[ticket] {
		return // late, or of a client before
	}
	all, state, isLast := c.parts.add(it.request, it.part, body)
	if !isLast {
		return
	}
	delete(c.pending, ticket)
	switch {
	case it.status == statusFailed:
		c.done[ticket] = answer{err: &FailedError{append([]byte{}, all...)}}
	case it.status != statusOK:
		err := statusErrors[it.status]
		if err == nil {
			err = fmt.Errorf("the server says status %d, which this package does not know", it.status)
		}
		c.done[ticket] = answer{err: err}
	case state == missing:
		c.done[ticket] = answer{err: ErrInterrupted}
	case state == tooLong:
		c.done[ticket] = answer{err: ErrTooLarge}
	default:
		c.done[ticket] = answer{body: append([]byte{}, all...)}
	}
}

// Close lets go of the lane, which is the next client's. What was begun is finished, and nobody gets the answer.
func (c *Client) Close() error {
	if c.requests != nil {
		_ = c.requests.Close()
		c.requests = nil
	}
	if c.answers != nil {
		_ = c.answers.Close()
		c.answers = nil
	}
	return c.service.Close()
}
