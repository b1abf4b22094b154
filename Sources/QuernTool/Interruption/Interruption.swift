// SPDX-License-Identifier: Apache-2.0
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Ctrl-C for a command that has something to clean up: it is noted, and the work looks at it between its steps. A
/// second one ends the process at once.
enum Interruption {
    fileprivate static let flag = Atomic(false)

    static func watch() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let previous = signal(number) { number in
                Interruption.flag.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
            if unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
                // As nohup has it, and a shell for what runs beside it.
                signal(number, SIG_IGN)
                continue
            }
            // Who waits for input hears of it.
            var action = sigaction()
            sigaction(number, nil, &action)
            action.sa_flags &= ~SA_RESTART
            sigaction(number, &action, nil)
            sigaddset(&signals, number)
        }
        // Whoever started this process may have had them blocked.
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Whether somebody wants an end.
    static var isRequested: Bool { flag.load(ordering: .relaxed) }

    /// - Throws: ``ToolError`` when somebody wants an end.
    static func check() throws(ToolError) {
        if isRequested { throw error }
    }

    static let error = ToolError(.interrupted, "interrupted")
}
