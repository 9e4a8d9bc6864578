package gateway

import "net/http"

// refuse answers a request that never became a handshake or a callback, or a
// callback that failed; message "" leaves the body empty.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("x-amzn-ErrorType", kind)
	w.Header().Set("x-amzn-RequestId", newID())
	if message == "" {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(appendString([]byte(`{"message":`), message), '}'))
}

// errorBody renders the shape that clients get for a refused handshake and
// for a failed message; key order and spacing are AWS's.
func errorBody(message, connectionID, requestID string) []byte {
	b := make([]byte, 0, 128)
	b = append(b, `{"message": `...)
	b = appendString(b, message)
	b = append(b, `, "connectionId":"`...)
	b = append(b, connectionID...)
	b = append(b, `", "requestId":"`...)
	b = append(b, requestID...)
	return append(b, `"}`...)
}
