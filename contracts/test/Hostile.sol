// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Facilitator} from "../Facilitator.sol";

/// Hands all calls to another contract's code, as USDC's proxy does.
contract Proxy {
    address private immutable code;

    constructor(address code_) {
        code = code_;
    }

    fallback() external {
        address target = code;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let success := delegatecall(gas(), target, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if success { return(0, returndatasize()) }
            revert(0, returndatasize())
        }
    }
}

/// What the programs below can do when they are called.
library Harm {
    /// Uses up all gas.
    function burn() internal pure {
        assembly {
            invalid()
        }
    }

    /// Uses up all gas by work, to the last.
    function work() internal view {
        bytes32 hash;
        while (gasleft() > 0) hash = keccak256(abi.encode(hash));
    }

    /// Throws much, for 57,000 gas: who copies it pays as much again.
    function bomb() internal pure {
        assembly {
            revert(mload(0x40), 150000)
        }
    }
}

/// A token that does to some payers (by the last byte of their address) what it can.
contract HostileToken {
    enum Does {
        Nothing,
        Burns,
        Works,
        Bombs,
        Panics,
        ThrowsCustom,
        ThrowsShort,
        ThrowsEmptyMessage,
        ThrowsMessage,
        ThrowsUnalignedMessage,
        Reenters,
        NotesGas
    }

    error Custom(uint256 number);

    mapping(address => Does) public does;
    mapping(address => uint256) public calls; // that came to their end
    uint256 public leastGas = type(uint256).max; // that a call which notes it began with
    bytes public inner; // a batch to settle while called
    uint256 public innerDone = type(uint256).max; // how much of it was tried

    function set(address payer, Does what) external {
        does[payer] = what;
    }

    function setInner(bytes calldata items) external {
        inner = items;
    }

    function transferWithAuthorization(
        address from, address to, uint256, uint256, uint256, bytes32, uint8, bytes32, bytes32
    ) external {
        uint256 gas = gasleft();
        Does what = does[from];
        if (what == Does.NotesGas && gas < leastGas) leastGas = gas;
        if (what == Does.Burns) Harm.burn();
        if (what == Does.Works) Harm.work();
        if (what == Does.Bombs) Harm.bomb();
        if (what == Does.Panics) assert(false);
        if (what == Does.ThrowsCustom) revert Custom(7);
        if (what == Does.ThrowsEmptyMessage) revert("");
        if (what == Does.ThrowsMessage) revert("a message of more than thirty-two bytes");
        if (what == Does.ThrowsShort) throwBytes(hex"112233");
        if (what == Does.ThrowsUnalignedMessage) {
            // The size is no whole number of words: not what Solidity throws.
            throwBytes(abi.encodePacked(hex"08c379a0", uint256(32), uint256(3), "abc"));
        }
        calls[from]++;
        if (what == Does.Reenters) {
            does[from] = Does.Nothing;
            (innerDone,) = Facilitator(msg.sender).settle(address(this), to, inner);
        }
    }

    function balanceOf(address owner) external view returns (uint256) {
        Does what = does[owner];
        if (what == Does.Burns) Harm.burn();
        if (what == Does.Works) Harm.work();
        if (what == Does.Bombs) Harm.bomb();
        if (what == Does.ThrowsShort) {
            assembly {
                return(0, 31)
            }
        }
        return calls[owner];
    }

    function throwBytes(bytes memory data) private pure {
        assembly {
            revert(add(data, 32), mload(data))
        }
    }
}

/// A payer with code (EIP-1271), which the token asks whether it signed.
abstract contract Account {
    function isValidSignature(bytes32, bytes calldata) external virtual returns (bytes4);
}

contract AgreeingAccount is Account {
    function isValidSignature(bytes32, bytes calldata) external pure override returns (bytes4) {
        return this.isValidSignature.selector;
    }
}

contract BurningAccount is Account {
    function isValidSignature(bytes32, bytes calldata) external pure override returns (bytes4) {
        Harm.burn();
    }
}

contract WorkingAccount is Account {
    function isValidSignature(bytes32, bytes calldata) external view override returns (bytes4) {
        Harm.work();
        return 0;
    }
}

contract BombingAccount is Account {
    function isValidSignature(bytes32, bytes calldata) external pure override returns (bytes4) {
        Harm.bomb();
    }
}

/// Settles something else while it is asked, and agrees only if any of that was tried.
contract ReenteringAccount is Account {
    Facilitator private immutable facilitator;
    address private immutable token;

    constructor(Facilitator facilitator_, address token_) {
        facilitator = facilitator_;
        token = token_;
    }

    function isValidSignature(bytes32, bytes calldata) external override returns (bytes4) {
        (uint256 done,) = facilitator.settle(token, address(this), new bytes(134));
        return done == 0 ? bytes4(0) : this.isValidSignature.selector;
    }
}
