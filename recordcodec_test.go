package ota

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var someEvents = []Event{
	{Kind: EventCreated, Batch: -1, Number: 3, Actor: "ann", Text: "3 agents in 1 batches"},
	{Kind: EventTaskStarted, Batch: 0, Agent: "a", Task: 2, Number: 1},
	{Kind: EventTaskWaiting, Batch: 300, Agent: "ü", Reason: ReasonThrottled, Until: time.Unix(0, noon).UTC()},
	{Kind: EventTaskFailed, Batch: 1, Agent: strings.Repeat("x", 255), Reason: ReasonRepeat, Text: strings.Repeat("y", maxMessage)},
	{Kind: EventLate, Batch: -1},
}

func TestRecordRoundTrip(t *testing.T) {
	at := time.Unix(0, noon).UTC()
	data := encodeRecord(at, StatusRunning, someEvents...)
	rec, err := decodeRecord("p", LogRow{Revision: 7, Request: "r", Data: data})
	require.NoError(t, err)
	require.Equal(t, Record{Plan: "p", Revision: 7, Request: "r", At: at, Status: StatusRunning, Events: someEvents}, rec)
	whole := 0
	for n := range data {
		if _, err := decodeRecord("p", LogRow{Data: data[:n]}); err == nil {
			whole++ // cut between two events
		}
	}
	require.Equal(t, len(someEvents), whole, "a record that was cut is not taken for a whole one")
	data[0]++
	_, err = decodeRecord("p", LogRow{Revision: 7, Data: data})
	require.EqualError(t, err, "ota: log record 7 of plan p has schema 2, this version knows 1")
}

func TestRecordIsStable(t *testing.T) {
	data := encodeRecord(time.Unix(0, noon), StatusPaused, someEvents[1], someEvents[2])
	require.Equal(t, "01041886999c36a18000"+"170f0001610201"+"1e33ac0202c3bc8a80808cea86e7cc8631", hex.EncodeToString(data),
		"the stored form changed, and old logs are lost")
}

func TestRecordWriterKeepsItsBuffer(t *testing.T) {
	var w recordWriter
	w.add(&someEvents[1])
	first := string(w.finish(time.Unix(0, noon), StatusRunning))
	w.reset()
	require.Zero(t, w.events)
	if n := testing.AllocsPerRun(100, func() { w.reset(); w.add(&someEvents[1]) }); n > 0 {
		t.Errorf("a record allocates %v times", n)
	}
	require.Equal(t, first, string(w.finish(time.Unix(0, noon), StatusRunning)))
}

func FuzzRecord(f *testing.F) {
	f.Add(encodeRecord(time.Unix(0, noon), StatusRunning, someEvents...))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := decodeRecord("p", LogRow{Data: data})
		if err != nil {
			return
		}
		again, err := decodeRecord("p", LogRow{Data: encodeRecord(rec.At, rec.Status, rec.Events...)})
		if err != nil || !reflect.DeepEqual(rec, again) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, again, rec)
		}
	})
}
