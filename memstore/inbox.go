package memstore

import (
	"context"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// Post implements Inbox.
func (s *Store) Post(ctx context.Context, plan string, messages []ota.Message) error {
	p, err := s.find(ctx, plan)
	if err != nil {
		return err
	}
	if err := p.post(messages); err != nil {
		return err
	}
	s.feed.Tell(p.id)
	return nil
}

// Read implements Inbox.
func (s *Store) Read(ctx context.Context, plan string, after uint64, limit int) (found []ota.Message, err error) {
	err = s.read(ctx, plan, func(p *planEntry) { found = p.messagesAfter(after, pageLimit(limit)) })
	return found, err
}

func (p *planEntry) post(messages []ota.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return notFound(p.id)
	}
	if p.posted == nil {
		p.posted = map[string]struct{}{}
	}
	for _, m := range messages {
		if _, known := p.posted[m.ID]; known {
			continue
		}
		p.posted[m.ID] = struct{}{}
		p.messages = append(p.messages, ota.Message{
			Number: uint64(len(p.messages)) + 1,
			ID:     m.ID,
			Body:   slices.Clone(m.Body),
		})
	}
	return nil
}

// messagesAfter relies on numbers being places: message n is at n-1.
func (p *planEntry) messagesAfter(after uint64, limit int) []ota.Message {
	if after >= uint64(len(p.messages)) {
		return []ota.Message{}
	}
	found := p.messages[after:]
	found = slices.Clone(found[:min(limit, len(found))])
	for i := range found {
		found[i].Body = slices.Clone(found[i].Body)
	}
	return found
}
