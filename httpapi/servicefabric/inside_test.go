package servicefabric

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"PT0H2M0S": 2 * time.Minute, "0": 0, "1500": 1500 * time.Millisecond, "0.5": 500 * time.Microsecond, "P1DT1S": 24*time.Hour + time.Second,
		"P10675199DT02H48M05.4775807S": math.MaxInt64, "922337203685477.5807": math.MaxInt64, "99999999999999999999999": math.MaxInt64,
	} {
		if got, ok := parseSpan(in); !ok || got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "2m", "-1", "1e3", "P", ".", "Inf", "NaN", "0x10", "1_0"} {
		if got, ok := parseSpan(in); ok {
			t.Errorf("%q: got %v, want a refusal", in, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "PT0H0M0S", 2*time.Minute + 5250*time.Millisecond: "PT0H2M5.25S", 50*time.Hour + time.Nanosecond: "P2DT2H0M0S", -time.Second: "PT0H0M0S",
	} {
		if got := printSpan(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	var list []UpgradeDomain
	for _, name := range []string{"UD10", "UD2", "a", "UD02", "UD1", "UD"} {
		list = append(list, UpgradeDomain{Name: name})
	}
	for by, want := range map[string]string{
		"Default": "UD UD02 UD1 UD10 UD2 a", "Lexicographical": "UD UD02 UD1 UD10 UD2 a", "Numeric": "UD UD1 UD02 UD2 UD10 a",
		"ReverseNumeric": "a UD10 UD2 UD02 UD1 UD", "ReverseLexicographical": "a UD2 UD10 UD1 UD02 UD",
	} {
		got, err := order(list, by)
		var names []string
		for _, d := range got {
			names = append(names, d.Name)
		}
		if strings.Join(names, " ") != want || err != nil {
			t.Errorf("%s: got %v, %v, want %s", by, names, err, want)
		}
	}
	if _, err := order(append(list, UpgradeDomain{Name: "a"}), "Default"); !errors.Is(err, errInventory) {
		t.Errorf("a name was accepted twice: %v", err)
	}
}

func TestSameDescription(t *testing.T) {
	t.Parallel()
	describe := func(wait string, p ...parameter) *description {
		d, _ := parseSpan(wait)
		return &description{Parameters: p, MonitoringPolicy: &monitoringPolicy{HealthCheckWaitDurationInMilliseconds: &span{wait, d}}}
	}
	one := describe("PT1M", parameter{"a", "1"}, parameter{"b", "2"})
	if other := describe("60000", parameter{"b", "2"}, parameter{"a", "1"}); !one.same(other) {
		t.Errorf("%s is not %s", one.canonical(), other.canonical())
	}
	for _, other := range []*description{describe("60001", one.Parameters...), describe("PT1M", parameter{"a", "1"}), {Parameters: one.Parameters}} {
		if one.same(other) {
			t.Errorf("%s is %s", one.canonical(), other.canonical())
		}
	}
}

// openapi.json has every operation, with its method.
func TestOperationsInOpenAPI(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	for name, op := range operations {
		if doc.Paths["/Applications/{applicationId}/$/"+name][strings.ToLower(op.method)] == nil {
			t.Errorf("openapi.json has no %s %s", op.method, name)
		}
	}
	if len(doc.Paths) != len(operations) {
		t.Errorf("openapi.json has %d paths, want %d", len(doc.Paths), len(operations))
	}
}
