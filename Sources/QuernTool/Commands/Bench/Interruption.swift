// SPDX-License-Identifier: Apache-2.0
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Ctrl-C for a command that has something to clean up: it is noted, and the work looks at it between its steps.
enum Interruption {
    fileprivate static let flag = Atomic(false)

    static func watch() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { _ in Interruption.flag.store(true, ordering: .relaxed) }
            sigaddset(&signals, number)
        }
        // Whoever started this process may have had them blocked.
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// - Throws: ``ToolError`` when somebody wants an end.
    static func check() throws(ToolError) {
        if flag.load(ordering: .relaxed) { throw ToolError(.interrupted, "interrupted") }
    }
}
