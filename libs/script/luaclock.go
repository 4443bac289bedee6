package script

import (
	"time"

	lua "github.com/yuin/gopher-lua"
)

// maxDateFormat bounds the format of os.date, each letter of which may become some twenty.
const maxDateFormat = 200

// openClock gives the program the two functions of "os" that only tell the time.
func openClock(state *lua.LState, b *budget, clock func() time.Time) {
	state.Push(state.NewFunction(lua.OpenOs))
	state.Push(lua.LString(lua.OsLibName))
	state.Call(1, 0)
	full, ok := state.GetGlobal(lua.OsLibName).(*lua.LTable)
	safe := state.CreateTable(0, 2)
	state.SetGlobal(lua.OsLibName, safe)
	if !ok {
		return
	}
	l := &library{budget: b}
	plainTime, plainDate := full.RawGetString("time"), full.RawGetString("date")
	safe.RawSetString("time", state.NewFunction(func(state *lua.LState) int {
		if given, ok := state.Get(1).(*lua.LTable); ok {
			return callPlain(state, plainTime, given)
		}
		state.Push(lua.LNumber(clock().Unix()))
		return 1
	}))
	safe.RawSetString("date", state.NewFunction(func(state *lua.LState) int {
		format := state.OptString(1, "%c")
		if len(format) > maxDateFormat {
			state.RaiseError("a date format of more than %d bytes", maxDateFormat)
		}
		l.check(state, b.room(len(format)*20))
		return callPlain(state, plainDate, lua.LString(format), lua.LNumber(state.OptInt64(2, clock().Unix())))
	}))
}

func callPlain(state *lua.LState, plain lua.LValue, args ...lua.LValue) int {
	state.Push(plain)
	for _, a := range args {
		state.Push(a)
	}
	state.Call(len(args), 1)
	return 1
}
