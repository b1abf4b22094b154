// SPDX-License-Identifier: Apache-2.0
import Quern

/// Why the command ends without a report.
struct CommandError: Error {
    /// The exit status.
    enum Status: Int32 {
        case usage = 64
        case inputOutput = 74
    }

    var status: Status
    var message: String

    init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// Says what an error means to somebody who knows the command and not the code.
    init(describing error: any Error) {
        switch error {
        case let error as CommandError: self = error
        case let error as SchedulerError:
            self.init(.inputOutput, error.cause.map { "\($0)" } ?? "\(error)")
        case let error as TaskFailedError:
            self.init(.inputOutput, "the scan failed, the next one begins anew: \(error.failure)")
        default: self.init(.inputOutput, "\(error)")
        }
    }
}
