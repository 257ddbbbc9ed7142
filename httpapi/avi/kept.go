package avi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// keptKey is the annotation with what clients have set, as one object.
const keptKey = "avi.kept"

// What the Engine takes: bytes of one annotation, and how many a plan may have.
const (
	maxKept        = 64 << 10
	maxAnnotations = 64
)

// keptOf reads what clients have set. Annotations can be written by others too: what does not fit
// the document is not there.
func keptOf(p *ota.Plan) map[string]any {
	given, ok := p.Annotations[keptKey]
	if !ok {
		return nil
	}
	r := strictjson.NewReader(strings.NewReader(given), strictjson.Limits{})
	kept := map[string]any{}
	err := r.Object(func(key string) error {
		f, ok := document[key]
		if !ok || f.told {
			return r.Skip()
		}
		v, err := f.read(r)
		kept[key] = v
		return err
	})
	if err != nil || r.End() != nil {
		return nil
	}
	return kept
}

// annotations is the change of annotations that makes a plan keep this; both are nil when it does
// already.
func annotations(p *ota.Plan, kept map[string]any) (set map[string]string, remove []string, err error) {
	have, ok := p.Annotations[keptKey]
	if len(kept) == 0 {
		if ok {
			remove = []string{keptKey}
		}
		return nil, remove, nil
	}
	b, err := json.Marshal(kept)
	switch {
	case err != nil:
		return nil, nil, err
	case ok && string(b) == have:
		return nil, nil, nil
	case len(b) > maxKept:
		return nil, nil, refuse(http.StatusBadRequest, "what is kept would be %d bytes; allowed: %d", len(b), maxKept)
	}
	if !ok && len(p.Annotations) >= maxAnnotations {
		return nil, nil, refuse(http.StatusBadRequest, "the plan has %d annotations already; nothing can be kept with it", maxAnnotations)
	}
	return map[string]string{keptKey: string(b)}, nil, nil
}
