// Package clonetest shows whether a function that copies a value copies all of it.
package clonetest

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// Check fails the test unless clone returns an equal value that shares no memory with the original.
// The value has something in every field, so a field that is added later cannot be forgotten.
// Pointers of the types constant may be shared: what they point to never changes.
func Check[T any](t *testing.T, clone func(T) T, constant ...reflect.Type) {
	t.Helper()
	var v T
	fill(reflect.ValueOf(&v).Elem())
	c := clone(v)
	if !reflect.DeepEqual(c, v) {
		t.Errorf("got  %+v\nwant %+v", c, v)
	}
	shared(t, reflect.TypeOf(v).Name(), reflect.ValueOf(v), reflect.ValueOf(c), constant)
}

// fill gives every field of v a value, with something behind every pointer, map and slice.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value)
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	default:
		v.SetUint(1)
	}
}

// shared reports what a and b have in common, besides what is of the types constant.
func shared(t *testing.T, at string, a, b reflect.Value, constant []reflect.Type) {
	t.Helper()
	if a.Type() == reflect.TypeFor[time.Time]() || slices.Contains(constant, a.Type()) {
		return
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", at)
			return
		}
	}
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			shared(t, at+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i), constant)
		}
	case reflect.Pointer:
		shared(t, at, a.Elem(), b.Elem(), constant)
	case reflect.Slice:
		shared(t, at+"[0]", a.Index(0), b.Index(0), constant)
	}
}
