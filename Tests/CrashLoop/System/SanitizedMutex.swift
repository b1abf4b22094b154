// SPDX-License-Identifier: Apache-2.0

#if QUERN_THREAD_SANITIZER
    import QuernStore

    typealias Mutex<Value: ~Copyable> = SanitizedMutex<Value>
#endif
