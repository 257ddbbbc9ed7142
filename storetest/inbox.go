package storetest

import (
	"fmt"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

const ruleInbox = "Read returns what was posted, in order, each once, with rising numbers"

var inboxCases = cases{
	{"MessagesComeInOrder", func(e *env) {
		in := e.inbox()
		e.made("p")
		e.made("q")
		e.mail(in, "p", 0, 10)
		for i := range 3 {
			e.post(in, "p", fmt.Sprint("m", 2*i), fmt.Sprint("m", 2*i+1))
		}
		e.post(in, "q", "m0")
		all := e.mail(in, "p", 0, 10, "m0", "m1", "m2", "m3", "m4", "m5")
		e.mail(in, "p", all[1].Number, 3, "m2", "m3", "m4")
		e.mail(in, "p", all[5].Number, 3)
		e.mail(in, "q", 0, 10, "m0")
		e.mail(in, "q", 0, 0, "m0")
	}},
	{"AMessageThatWasPostedBeforeIsDropped", func(e *env) {
		in := e.inbox()
		e.made("p")
		e.post(in, "p", "a", "b", "a")
		e.post(in, "p", "b", "c")
		e.mail(in, "p", 0, 10, "a", "b", "c")
	}},
	{"ManySendersLoseNothing", func(e *env) {
		in := e.inbox()
		e.made("p")
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for s := range errs {
			wg.Go(func() {
				for i := range 10 {
					id := fmt.Sprintf("%d/%d", s, i)
					if err := in.Post(e.ctx, "p", []ota.Message{{ID: id, Body: []byte(id)}}); err != nil {
						errs[s] = err
					}
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			e.ok("Post appends", err)
		}
		got, err := in.Read(e.ctx, "p", 0, 1000)
		e.ok("Read answers", err)
		e.same(ruleInbox, len(got), 80)
		e.rising(got)
	}},
	{"BodiesAreCopied", func(e *env) {
		in := e.inbox()
		e.made("p")
		body := []byte{0, 0xff, 'x'}
		e.ok("Post appends", in.Post(e.ctx, "p", []ota.Message{{ID: "m", Body: body}}))
		scribble(body)
		for range 2 {
			got, err := in.Read(e.ctx, "p", 0, 1)
			e.ok("Read answers", err)
			e.that(ruleInbox, len(got) == 1, "got %d messages", len(got))
			e.that(ruleKeeps, string(got[0].Body) == "\x00\xffx", "got %q", got[0].Body)
			scribble(got[0].Body)
		}
	}},
	{"AnUnknownPlanIsErrNotFound", func(e *env) {
		const rule = "a plan that is not there is ErrNotFound"
		in := e.inbox()
		e.is(rule, in.Post(e.ctx, "p", []ota.Message{{ID: "m"}}), ota.ErrNotFound)
		_, err := in.Read(e.ctx, "p", 0, 1)
		e.is(rule, err, ota.ErrNotFound)
	}},
	{"APostIsNoCommit", func(e *env) {
		in := e.inbox()
		e.made("p")
		before := e.everything("p")
		e.post(in, "p", "a")
		e.same("a message changes nothing of its plan", e.everything("p"), before)
	}},
}

func (e *env) inbox() ota.Inbox {
	in, ok := ota.As[ota.Inbox](e.store)
	if !ok {
		e.skip("the store is no ota.Inbox")
	}
	return in
}

func (e *env) post(in ota.Inbox, plan string, ids ...string) {
	var messages []ota.Message
	for _, id := range ids {
		messages = append(messages, ota.Message{Number: 77, ID: id, Body: []byte("body of " + id)})
	}
	e.ok("Post appends", in.Post(e.ctx, plan, messages))
}

func (e *env) mail(in ota.Inbox, plan string, after uint64, limit int, want ...string) []ota.Message {
	got, err := in.Read(e.ctx, plan, after, limit)
	e.ok("Read answers", err)
	ids := []string{}
	for _, m := range got {
		ids = append(ids, m.ID)
		e.same(ruleInbox, string(m.Body), "body of "+m.ID)
	}
	e.that(ruleInbox, fmt.Sprint(ids) == fmt.Sprint(want), "got %v, want %v", ids, want)
	e.rising(got)
	return got
}

func (e *env) rising(got []ota.Message) {
	last := uint64(0)
	for _, m := range got {
		e.that(ruleInbox, m.Number > last, "got number %d after %d", m.Number, last)
		last = m.Number
	}
}
