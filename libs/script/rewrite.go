package script

import "reflect"

// rewrite walks a syntax tree, innermost first, and puts in place of each pointer
// to a node what replace returns. Trees of parsers are plain structs; walking them
// by reflection is short, and misses no kind of node that a later version adds.
func rewrite(root any, replace func(node any) any) {
	walk(reflect.ValueOf(root).Elem(), replace)
}

func walk(v reflect.Value, replace func(any) any) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		walk(v.Elem(), replace)
		exchange(v, replace)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i), replace)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), replace)
		}
	}
}

// exchange sets v to the replacement where its type allows.
func exchange(v reflect.Value, replace func(any) any) {
	if !v.CanSet() || !v.CanInterface() {
		return
	}
	old := v.Interface()
	fresh := reflect.ValueOf(replace(old))
	if fresh.IsValid() && fresh.Type().AssignableTo(v.Type()) && fresh.Interface() != old {
		v.Set(fresh)
	}
}
